"""The numbers of a stack's MySQL, read by a connection of MySQL's root."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from ops.stack.mysql import connect_as_root

TIMEOUT = 0.5  # seconds that a statement may take

_INDEX = "SET GLOBAL innodb_ft_aux_table = 'rinha/pessoas'"  # of which innodb_ft_config tells
_NUMBERS = (
    "SELECT (SELECT pessoas FROM rinha.contagem), @@GLOBAL.read_only AND NOT @@GLOBAL.super_read_only, "
    "@@GLOBAL.event_scheduler = 'ON', "
    "(SELECT value FROM information_schema.innodb_ft_config WHERE `key` = 'synced_doc_id'), "
    "(SELECT SUM(member_state = 'ONLINE') FROM performance_schema.replication_group_members), "
    "(SELECT member_role FROM performance_schema.replication_group_members WHERE member_id = @@server_uuid)"
)
_LOCK_WAITS = "Innodb_row_lock_current_waits"
_STATUS = (
    "SELECT variable_name, variable_value FROM performance_schema.global_status "
    f"WHERE variable_name IN ('Threads_running', '{_LOCK_WAITS}')"
)


class DatabaseNumbers(NamedTuple):
    """MySQL.

    `silent_seconds` is the time since its last answer, 0.0 while it answers; the other numbers are those of the last
    answer. `syncs` counts the syncs of the full-text index since the first answer. `running` counts the statements that
    MySQL executes now, the one that asks left out, and `lock_waits` those that wait for another transaction. `members`
    counts the members of a MySQL group, and `online` those that serve; a single server is its only member.
    """

    people: int | None = None
    read_only: bool = False
    syncs: int = 0
    running: int = 0
    lock_waits: int = 0
    members: int = 1
    online: int = 1
    silent_seconds: float = 0.0


class DatabaseWatch:
    """Asks MySQL for its numbers, in whatever thread `look` is called. `numbers` never waits.

    Of a MySQL group, the primary is asked. If the member that was asked is another one, the next look asks the next.
    """

    def __init__(self) -> None:
        self._sockets: Sequence[Path] = ()
        self._turn = 0
        self._connection: Connection[Cursor] | None = None
        self._numbers = DatabaseNumbers()
        self._synced = ""
        self._answered_at = time.monotonic()
        self._lock = threading.Lock()

    def ask_on(self, sockets: Sequence[Path]) -> None:
        """Ask the MySQL that listens on a socket from now on, or that of a group on several; none asks none."""
        if sockets != self._sockets:
            with self._lock:
                self._sockets, self._numbers, self._synced = sockets, DatabaseNumbers(), ""
                self._answered_at = time.monotonic()

    def look(self) -> None:
        """Ask once; wait `TIMEOUT` seconds at most for each answer."""
        sockets = self._sockets
        if not sockets:
            return
        try:
            numbers, synced, role = self._ask(sockets[self._turn % len(sockets)])
        except (pymysql.MySQLError, OSError):
            self._ask_next()
            return
        with self._lock:
            is_new = bool(self._synced) and synced != self._synced
            self._numbers = numbers._replace(syncs=self._numbers.syncs + is_new)
            self._synced, self._answered_at = synced, time.monotonic()
        if numbers.members > 1 and role != "PRIMARY":
            self._ask_next()

    def numbers(self, interval: float) -> DatabaseNumbers:
        """Return the numbers of the last answer; MySQL is silent if it did not answer within two intervals."""
        with self._lock:
            silent = time.monotonic() - self._answered_at
            return self._numbers._replace(silent_seconds=round(silent, 1) if silent > 2 * interval else 0.0)

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection._force_close()  # type: ignore[attr-defined]  # close() would wait for MySQL
            self._connection = None

    def _ask_next(self) -> None:
        self.close()
        self._turn += 1
        self._synced = ""  # each member has its own index

    def _ask(self, socket: Path) -> tuple[DatabaseNumbers, str, str]:
        if not self._connection:
            timeouts = {"connect_timeout": TIMEOUT, "read_timeout": TIMEOUT, "write_timeout": TIMEOUT}
            self._connection = connect_as_root(socket, **timeouts)
            with self._connection.cursor() as cursor:
                cursor.execute(_INDEX)
        with self._connection.cursor() as cursor:
            cursor.execute(_NUMBERS)
            ((people, read_only, has_scheduler, synced, online, role),) = cursor.fetchall()
            cursor.execute(_STATUS)
            status = {name: int(value) for name, value in cursor.fetchall()}
        # MySQL counts the statement that asks, and the thread of its scheduler.
        running = max(status["Threads_running"] - 1 - has_scheduler, 0)
        numbers = DatabaseNumbers(
            people, bool(read_only), running=running, lock_waits=status[_LOCK_WAITS], members=len(self._sockets)
        )
        if numbers.members > 1:
            numbers = numbers._replace(online=int(online or 0))
        return numbers, str(synced), str(role)
