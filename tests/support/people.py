"""People that nobody has stored yet."""

import secrets
from typing import Any

from service.person import Person, new_id


def nickname() -> str:
    """Return a nickname nobody has."""
    return secrets.token_hex(8)


def somebody(**fields: Any) -> Person:
    """Return a person with a nickname nobody has, but for `fields`."""
    return Person(new_id(), nickname(), "Ana", "2000-01-01", None)._replace(**fields)
