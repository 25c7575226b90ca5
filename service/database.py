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

RETRY_AFTER_FAILURE = 0.2  # seconds for which the circuit breaker stays open after a connection failed
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


class _Connector:
    """Makes connections, behind a circuit breaker, each of which holds MySQL's lock of the connector's name."""

    def __init__(self, config: Config, name: str) -> None:
        self.count = 0  # of connections made so far
        self._name = name
        self._lock_timeout = config.db_timeout / 2
        self._settings = _connection_settings(config)
        self._open_until = 0.0  # of the circuit breaker

    def connect(self) -> "Connection[Any]":
        """Return a new connection when no earlier statement of this name is executed any more; raise Unavailable."""
        if time.monotonic() < self._open_until:
            raise Unavailable("the database is away")
        try:
            connection = pymysql.connect(**self._settings)
            if self._end_earlier_statements(connection):
                self.count += 1
                return connection
            connection.close()
        except pymysql.MySQLError as error:
            # PyMySQL does not close the socket of a failed connection; its traceback would keep the socket open.
            traceback.clear_frames(error.__traceback__)
            self._open_until = time.monotonic() + RETRY_AFTER_FAILURE
            log.warning("MySQL is away: %s", error)
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

    def __init__(self, config: Config, name: str = "") -> None:
        self.select_timeout_ms = _select_timeout_ms(config)
        self._timeout = config.db_timeout
        self._connector = _Connector(config, name or secrets.token_hex(16))
        self._pool: PersistentDB | None = None
        self._cursor: Any = None

    @property
    def connections(self) -> int:
        """The number of connections made so far. Another connection may lead to a server in another state."""
        return self._connector.count

    def insert(self, statement: str, values: Sequence[str | None]) -> None:
        """Insert a row that has a unique key made by the caller; raise DuplicateKey if a key is taken.

        If the reply is lost, the same statement is sent once more, and the unique key tells whether the first attempt
        was stored. If the second reply is lost too, the result is unknown: Unavailable.
        """
        for is_repeated in (False, True):
            try:
                self._execute(statement, values)
                return
            except pymysql.MySQLError as error:
                if error.args[:1] == (ER.DUP_ENTRY,):
                    raise DuplicateKey(is_repeated) from None
                if is_repeated or not _was_reply_lost(error):
                    raise _service_error(error) from error

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

    def _execute(self, statement: str, values: Sequence[str | None]) -> Sequence[Row]:
        """Send a statement once and return its rows.

        If the connection turns out to be closed before the statement was sent, it is sent on a new connection. A
        statement whose reply was lost is not repeated here.
        """
        if self._cursor:
            try:
                return self._send(statement, values)
            except pymysql.MySQLError as error:
                if not _was_not_sent(error):
                    raise
        # DBUtils makes and owns the connection; a broken one is discarded with its pool.
        self._pool = PersistentDB(self._connector.connect, ping=0, threadlocal=threading.local)
        # PERF: the driver's cursor. DBUtils' costs a creation and a read by id 33 us of CPU of 511 us (decision 10).
        self._cursor = self._pool.connection().dbapi_connection.cursor()
        return self._send(statement, values)

    def _send(self, statement: str, values: Sequence[str | None]) -> Sequence[Row]:
        """Send a statement on the current connection; forget the connection if it is broken."""
        cursor = self._cursor
        try:
            cursor.execute(statement, values)
            rows: Sequence[Row] = cursor.fetchall()
            return rows
        except pymysql.MySQLError as error:
            if _was_not_sent(error) or _was_reply_lost(error):
                self._cursor = None
            raise


def _select_timeout_ms(config: Config) -> int:
    """Return the milliseconds after which MySQL stops a SELECT."""
    return int(config.db_timeout * 900)


def _connection_settings(config: Config) -> dict[str, Any]:
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
        f"innodb_lock_wait_timeout = {int(config.db_timeout) or 1}",
    }


def _was_not_sent(error: Exception) -> bool:
    """Return whether the connection was closed before the statement was sent."""
    return error.args[:1] in ((0,), (CR.CR_SERVER_GONE_ERROR,))


def _was_reply_lost(error: Exception) -> bool:
    """Return whether MySQL may have executed the statement, and its reply did not arrive."""
    return error.args[:1] == (CR.CR_SERVER_LOST,)


def _service_error(error: pymysql.MySQLError) -> Exception:
    """Return the exception for a MySQL error that is not worth another attempt."""
    if error.args[:1] == (ER.QUERY_TIMEOUT,):
        return SearchTimeout()
    if error.args[:1] == (RESULT_CACHE_EXCEEDED,):
        return ResultCacheExceeded()
    log.warning("MySQL: %s", error)
    return Unavailable("the database did not answer in time, or answered with an error")
