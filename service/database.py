"""The connection to MySQL, and what follows from its failures. The only module that knows PyMySQL and DBUtils."""

import contextlib
import logging
import secrets
import threading
import time
import traceback
from collections.abc import Sequence
from typing import Any

import pymysql
from dbutils.persistent_db import PersistentDB
from pymysql.connections import Connection
from pymysql.constants import CR, ER
from pymysql.converters import encoders

from service.config import Config
from service.errors import SearchTimeout, Unavailable
from service.logs import hide_values
from service.metrics import DATABASE_CONNECTIONS, DATABASE_OPERATIONS, DOUBTFUL_INSERTS

RETRY_AFTER_FAILURE = 0.2  # seconds for which the circuit breaker stays open after a connection failed
_SESSION_ENDED = 4031  # MySQL had closed the idle connection, by wait_timeout; PyMySQL has no name for it
RESULT_CACHE_EXCEEDED = 188  # MySQL: "FTS query exceeds result cache limit"; PyMySQL has no name for it

Row = Sequence[str]

log = logging.getLogger(__name__)


class DuplicateKey(Exception):
    """A unique key has the value already; if `was_repeated`, the row that has it may be the one just sent."""

    def __init__(self, was_repeated: bool) -> None:
        super().__init__()
        self.was_repeated = was_repeated


class ResultCacheExceeded(Exception):
    """A full-text search needs more memory than innodb_ft_result_cache_limit."""


class Connector:
    """Makes connections, behind a circuit breaker, each of which holds MySQL's lock of the connector's name."""

    def __init__(self, config: Config, name: str, session: str = "") -> None:
        """`session` is SQL that continues the SET of a new connection."""
        self.count = 0  # of connections made so far
        self._name = name
        self._lock_timeout = config.db_timeout / 2
        self._settings = _connection_settings(config, session)
        self._open_until = 0.0  # of the circuit breaker

    def connect(self) -> "Connection[Any]":
        """Return a new connection when no earlier statement of this name is executed any more; raise Unavailable."""
        if time.monotonic() < self._open_until:
            raise Unavailable("the database is away")
        try:
            connection = pymysql.connect(**self._settings)
            if self._end_earlier_statements(connection):
                self.count += 1
                DATABASE_CONNECTIONS.labels("made").increment()
                return connection
            DATABASE_CONNECTIONS.labels("busy").increment()
            connection.close()
        except pymysql.MySQLError as error:
            DATABASE_CONNECTIONS.labels("failed").increment()
            # PyMySQL does not close the socket of a failed connection; its traceback would keep the socket open.
            traceback.clear_frames(error.__traceback__)
            self._open_until = time.monotonic() + RETRY_AFTER_FAILURE
            log.warning("MySQL is away: %s", text_of(error))
            raise Unavailable("the database is away") from error
        raise Unavailable("the database is still busy with an earlier request")

    def _end_earlier_statements(self, connection: "Connection[Any]") -> bool:
        """End the earlier connections of this name; return whether their statements ended in time.

        MySQL releases the lock of a connection when the connection's statement has ended.
        """
        deadline = time.monotonic() + self._lock_timeout
        with connection.cursor() as cursor:
            while True:
                cursor.execute("SELECT GET_LOCK(%s, 0), IS_USED_LOCK(%s)", (self._name, self._name))
                ((is_locked, holder),) = cursor.fetchall()
                if is_locked == "1" or time.monotonic() > deadline:
                    return bool(is_locked == "1")
                with contextlib.suppress(pymysql.MySQLError):  # the connection may have ended by itself
                    cursor.execute(f"KILL {int(holder or 0)}")
                time.sleep(0.01)


class Database:
    """A pooled connection to MySQL. Create it after forking; it connects with the first statement.

    MySQL does not stop a statement whose client has gone. Therefore a new connection waits until all earlier statements
    of the same `name` have ended. MySQL executes at most one statement of a name, even if a worker was killed.

    Every method raises Unavailable if MySQL does not answer within twice `Config.db_timeout`. Later calls reconnect.
    """

    def __init__(self, config: Config, name: str = "", connector: Connector | None = None) -> None:
        self.select_timeout_ms = _select_timeout_ms(config)
        self._timeout = config.db_timeout
        self._connector = connector or Connector(config, name or secrets.token_hex(16))
        self._pool: PersistentDB | None = None
        self._cursor: Any = None
        self._has_metrics = bool(config.metrics_listen)
        self._server = [config.db_hosts] if config.db_hosts else []  # labels of the metrics

    @property
    def connections(self) -> int:
        """The number of connections made so far. Another connection may lead to a server in another state."""
        return self._connector.count

    def insert(self, statement: str, values: Sequence[str | None]) -> None:
        """Insert a row that has a unique key made by the caller; raise DuplicateKey if a key is taken.

        If the reply is lost, the same statement is sent once more, and the unique key tells whether the first attempt
        was stored. If the second reply is lost too, the result is unknown: Unavailable.
        """
        try:
            self._execute(statement, values)
        except pymysql.MySQLError as error:
            if is_duplicate(error):
                raise DuplicateKey(was_repeated=False) from None
            if not _was_reply_lost(error):
                raise _service_error(error) from error
            self._repeat_insert(statement, values)

    def _repeat_insert(self, statement: str, values: Sequence[str | None]) -> None:
        """Send an INSERT whose reply was lost once more; raise as `insert` does."""
        outcome = "unknown"
        try:
            self._execute(statement, values)
            outcome = "stored_by_repetition"
        except pymysql.MySQLError as error:
            if is_duplicate(error):
                outcome = ""  # the caller finds out whose row has the key
                raise DuplicateKey(was_repeated=True) from None
            raise _service_error(error) from error
        finally:
            if outcome:
                DOUBTFUL_INSERTS.labels(outcome).increment()

    def read(self, statement: str, values: Sequence[str | None] = ()) -> Sequence[Row]:
        """Return the rows of a SELECT. If its reply is lost early, the SELECT is sent once more.

        Raises SearchTimeout if MySQL stops it, and ResultCacheExceeded if a full-text search needs too much memory.
        """
        started = time.monotonic()
        try:
            return self._execute(statement, values)
        except pymysql.MySQLError as error:
            if not _was_reply_lost(error) or time.monotonic() - started > self._timeout / 2:
                raise _service_error(error) from error
        try:
            return self._execute(statement, values)
        except pymysql.MySQLError as error:
            raise _service_error(error) from error

    def wait_for_group(self) -> bool:
        """Wait until `read` sees all that is stored; return whether that needs a wait. One server needs none."""
        return False

    # For a SELECT of rows that never change: a server of a group may not have a row yet.
    read_any = read

    def _execute(self, statement: str, values: Sequence[str | None]) -> Sequence[Row]:
        """Send a statement once and return its rows.

        If the connection turns out to be closed before the statement was sent, it is sent on a new connection. A
        statement whose reply was lost is not repeated here.
        """
        if self._cursor:
            try:
                return self._send(statement, values)
            except pymysql.MySQLError as error:
                if not was_not_sent(error):
                    raise
        # DBUtils makes and owns the connection; a broken one is discarded with its pool.
        self._pool = PersistentDB(self._connector.connect, ping=0, threadlocal=threading.local)
        # PERF: the driver's cursor. DBUtils' costs a creation and a read by id 33 us of CPU of 511 us (decision 10).
        cursor = self._pool.connection().dbapi_connection.cursor()
        self._cursor = _MeteredCursor(cursor, self._server) if self._has_metrics else cursor
        return self._send(statement, values)

    def _send(self, statement: str, values: Sequence[str | None]) -> Sequence[Row]:
        """Send a statement on the current connection; forget the connection if it is broken."""
        cursor = self._cursor
        try:
            cursor.execute(statement, values)
            rows: Sequence[Row] = cursor.fetchall()
            return rows
        except pymysql.MySQLError as error:
            if was_not_sent(error) or _was_reply_lost(error):
                self._cursor = None
            raise


class _MeteredCursor:
    """A cursor that counts and times the statements."""

    # PERF: with RequestMetrics 17 us of CPU of 468 us a creation and a read (decision 24), so it is optional.

    def __init__(self, cursor: Any, server: Sequence[str]) -> None:
        self._execute = cursor.execute
        self._server = server
        self._durations = {name: DATABASE_OPERATIONS.labels(name, "", *server) for name in ("INSERT", "SELECT")}
        self.fetchall = cursor.fetchall

    def execute(self, statement: str, values: Sequence[str | None]) -> None:
        """Execute a statement; the driver has read all rows when it returns."""
        started = time.perf_counter()
        try:
            self._execute(statement, values)
        except pymysql.MySQLError as error:
            number = str(error.args[0]) if error.args and isinstance(error.args[0], int) else "unknown"
            series = DATABASE_OPERATIONS.labels(_operation(statement), number, *self._server)
            series.observe(time.perf_counter() - started)
            raise
        self._durations[_operation(statement)].observe(time.perf_counter() - started)


def _operation(statement: str) -> str:
    return "INSERT" if statement.startswith("INSERT") else "SELECT"


def _select_timeout_ms(config: Config) -> int:
    """Return the milliseconds after which MySQL stops a SELECT."""
    return int(config.db_timeout * 900)


def _connection_settings(config: Config, session: str) -> dict[str, Any]:
    address: dict[str, Any] = (
        # On a unix socket, TLS only costs time. PyMySQL uses TLS wherever the server offers it.
        {"unix_socket": config.db_socket, "ssl_disabled": True}
        if config.db_socket
        else {"host": config.db_host, "port": config.db_port}
    )
    return {
        **address,
        "user": config.db_user,
        "password": config.db_password,
        "database": config.db_name,
        "charset": "utf8mb4",
        "autocommit": True,
        "conv": encoders,  # values stay the text that MySQL sends: a date is not parsed
        "connect_timeout": config.db_timeout / 2,
        # A request may wait for two replies. What these leave of twice the timeout is for all else.
        "read_timeout": config.db_timeout * 0.96,
        "write_timeout": config.db_timeout * 0.96,
        # MySQL stops a SELECT at its time limit, and an INSERT that waits for another transaction.
        "init_command": f"SET max_execution_time = {_select_timeout_ms(config)}, "
        f"innodb_lock_wait_timeout = {int(config.db_timeout) or 1}{session}",
    }


def is_duplicate(error: Exception) -> bool:
    """Return whether a unique key has the value already."""
    return error.args[:1] == (ER.DUP_ENTRY,)


def was_not_sent(error: Exception) -> bool:
    """Return whether the connection was closed before the statement was sent, or was executed."""
    return error.args[:1] in ((0,), (CR.CR_SERVER_GONE_ERROR,), (_SESSION_ENDED,))


def _was_reply_lost(error: Exception) -> bool:
    """Return whether MySQL may have executed the statement, and its reply did not arrive."""
    return error.args[:1] == (CR.CR_SERVER_LOST,)


def text_of(error: Exception) -> str:
    """Return MySQL's number and message of an error, without the values that it quotes."""
    return hide_values(" ".join(map(str, error.args)))


def _service_error(error: pymysql.MySQLError) -> Exception:
    """Return the exception for a MySQL error that is not worth another attempt."""
    if error.args[:1] == (ER.QUERY_TIMEOUT,):
        return SearchTimeout()
    if error.args[:1] == (RESULT_CACHE_EXCEEDED,):
        return ResultCacheExceeded()
    log.warning("MySQL: %s", text_of(error))
    return Unavailable("the database did not answer in time, or answered with an error")
