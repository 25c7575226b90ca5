"""Executes the statements of one search within one time limit."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from service.database import Database, Row
from service.errors import SearchTimeout


class Step(NamedTuple):
    """A statement that a search executed, its values, its duration in seconds and its rows (None if it failed)."""

    statement: str
    values: tuple[str, ...]
    seconds: float
    rows: int | None


Trace = Callable[[Step], None]


class TimedReader:
    """Reads rows until `Database.select_timeout_ms` milliseconds have passed, and reports each statement to `trace`."""

    def __init__(self, database: Database, trace: Trace) -> None:
        self._database = database
        self._trace = trace
        self.deadline = time.monotonic() + database.select_timeout_ms / 1000

    def read(self, statement: str, values: tuple[str, ...], deadline: float | None = None) -> Sequence[Row]:
        """Return the rows of a statement that has `{hint}` after SELECT; MySQL stops it at the deadline.

        Raises SearchTimeout at `deadline` or at the deadline of the search, and what Database.read raises.
        """
        started = time.monotonic()
        remaining = min(self.deadline, deadline or self.deadline) - started
        if remaining <= 0:
            raise SearchTimeout
        rows: Sequence[Row] | None = None
        statement = statement.format(hint=f"/*+ MAX_EXECUTION_TIME({max(1, int(remaining * 1000))}) */")
        try:
            rows = self._database.read(statement, values)
            return rows
        finally:
            seconds = time.monotonic() - started
            self._trace(Step(statement, values, seconds, None if rows is None else len(rows)))
