"""Faults of a MySQL group with three members: `tox -e cluster`."""
