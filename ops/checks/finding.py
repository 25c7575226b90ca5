"""What a check of a running stack finds, and how it asks MySQL."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pymysql.cursors import Cursor


class Finding(NamedTuple):
    """The result of one check: its name, whether it is OK, what was found, and what to do if it is not OK."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def query(cursor: Cursor, statement: str, values: Sequence[object] = ()) -> Sequence[tuple[Any, ...]]:
    """Return the rows of a statement; raise pymysql.MySQLError."""
    cursor.execute(statement, values)
    return cursor.fetchall()
