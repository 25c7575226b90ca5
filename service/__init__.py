"""Stores people, and searches them by any fragment: a Falcon service on bjoern and MySQL full-text search."""

__version__ = "1.0.0"
