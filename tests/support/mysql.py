"""Connections of MySQL's root to a stack, which may do and see what the service may not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymysql.cursors import Cursor

from ops import ROOT
from ops.stack.mysql import connect_as_root
from tests.support.polling import wait_until
from tests.support.stack import RunningStack


@contextmanager
def root_cursor(stack: RunningStack, **options: Any) -> Iterator[Cursor]:
    """Yield a cursor of MySQL's root in the service's database."""
    with (
        connect_as_root(stack.directory.mysql_socket, database="rinha", **options) as connection,
        connection.cursor() as cursor,
    ):
        yield cursor


def fetch_rows(cursor: Cursor, statement: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """Execute a statement; return its rows."""
    cursor.execute(statement, values or None)
    return tuple(cursor.fetchall())


def fetch_row(cursor: Cursor, statement: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """Execute a statement; return its only row."""
    (row,) = fetch_rows(cursor, statement, values)
    return tuple(row)


@contextmanager
def locked_table(stack: RunningStack) -> Iterator[Cursor]:
    """Hold the requests for people in MySQL until the end of the context, or until `UNLOCK TABLES`."""
    with root_cursor(stack) as cursor:
        cursor.execute("LOCK TABLES pessoas WRITE")
        yield cursor


def waiting_statements(cursor: Cursor) -> int:
    """Return how many statements wait for a locked table."""
    return sum("metadata lock" in str(row[6]) for row in fetch_rows(cursor, "SHOW PROCESSLIST"))


def service_connections(cursor: Cursor) -> int:
    """Return the number of connections of the service's account."""
    counted = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'rinha'"
    return int(fetch_row(cursor, counted)[0])


def recreate_triggers(stack: RunningStack) -> None:
    """Create the triggers again, correct the count, and wait until the service is ready."""
    stack.sql((ROOT / "db/schema.sql").read_text())
    stack.sql("UPDATE contagem SET pessoas = (SELECT COUNT(*) FROM pessoas)")
    wait_until(lambda: stack.instance(1).request("GET", "/health/ready").status == 200)
