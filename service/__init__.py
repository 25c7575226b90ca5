"""People by any fragment: a Falcon service on bjoern and MySQL full text."""

__version__ = "1.0.0"
