"""One connection to MySQL that heals itself. The only module that knows PyMySQL and DBUtils."""

import logging
import threading
import time
import traceback
from collections.abc import Sequence
from typing import Any

import pymysql
from dbutils.persistent_db import PersistentDB
from pymysql.constants import CR, ER
from pymysql.converters import encoders
from pymysql.cursors import Cursor

from service.config import Config
from service.errors import TookTooLong, Unavailable

PAUSE = 0.2  # seconds in which nothing is tried after MySQL was found to be away

Row = Sequence[str]

log = logging.getLogger(__name__)


class DuplicateKey(Exception):
    """A unique key has the value already; `sent_before` tells that it may be this very row that has it."""

    def __init__(self, sent_before: bool) -> None:
        super().__init__()
        self.sent_before = sent_before


class Database:
    """MySQL over one pooled connection, made on first use: make this after forking.

    Every method raises Unavailable when MySQL does not answer, and then within twice `db_timeout`.
    Later calls find a MySQL that is back by themselves.
    """

    def __init__(self, config: Config) -> None:
        self._timeout = config.db_timeout
        self.bound = int(config.db_timeout * 900)  # milliseconds that MySQL may work on a SELECT
        self.connections = 0  # made so far: another one may be to a server in another state
        self._away_until = 0.0
        address: dict[str, Any] = (
            # On a socket of the same host, TLS would only cost (PyMySQL takes it wherever it is offered).
            {"unix_socket": config.db_socket, "ssl_disabled": True}
            if config.db_socket
            else {"host": config.db_host, "port": config.db_port}
        )
        self._settings: dict[str, Any] = {
            **address,
            "user": config.db_user,
            "password": config.db_password,
            "database": config.db_name,
            "charset": "utf8mb4",
            "autocommit": True,
            "conv": encoders,  # values come as MySQL writes them: a date is the text it came in as
            "connect_timeout": config.db_timeout / 2,
            # A request may wait for a reply twice; the rest of it has what these leave of twice the timeout.
            "read_timeout": config.db_timeout * 0.96,
            "write_timeout": config.db_timeout * 0.96,
            # MySQL itself ends a SELECT that takes longer, and an INSERT that waits for an operator's transaction.
            "init_command": f"SET max_execution_time = {self.bound}, "
            f"innodb_lock_wait_timeout = {int(config.db_timeout) or 1}",
        }
        self._cursor: Cursor | None = None

    def insert(self, statement: str, values: Sequence[str | None]) -> None:
        """Insert a row with a unique key of its own making; raise DuplicateKey if a key is taken.

        Where the reply is lost, the same row is sent once more and MySQL's keys tell whether the
        first was stored. Only if that fails too is the outcome unknown: Unavailable.
        """
        for sent_before in (False, True):
            try:
                self._execute(statement, values)
                return
            except pymysql.MySQLError as error:
                if error.args[:1] == (ER.DUP_ENTRY,):
                    raise DuplicateKey(sent_before) from None
                if sent_before or not _reply_was_lost(error):
                    raise _unavailable(error) from error

    def read(self, statement: str, values: Sequence[str | None] = ()) -> Sequence[Row]:
        """Return the rows of a query; one whose reply is lost at once is sent again, as it changes nothing."""
        started = time.monotonic()
        try:
            return self._execute(statement, values)
        except pymysql.MySQLError as error:
            if not _reply_was_lost(error) or time.monotonic() - started > self._timeout / 2:
                raise _unavailable(error) from error
        try:
            return self._execute(statement, values)
        except pymysql.MySQLError as error:
            raise _unavailable(error) from error

    def _execute(self, statement: str, values: Sequence[str | None]) -> Sequence[Row]:
        """Return the rows of a statement; raise Unavailable if it was not sent for want of a connection."""
        for kept in (self._cursor, None):
            cursor = kept or self._connect()
            try:
                cursor.execute(statement, values)
                return cursor.fetchall()
            except pymysql.MySQLError as error:
                if _was_not_executed(error) or _reply_was_lost(error):
                    self._cursor = None
                if not (kept and _was_not_executed(error)):
                    raise
        raise AssertionError("a new connection either answers or raises")

    def _connect(self) -> Cursor:
        """Return a cursor of a new connection, kept for the next statements; raise Unavailable."""
        if time.monotonic() < self._away_until:
            raise Unavailable("the database is away")
        # DBUtils makes and owns the connection. Its own cursors would repeat any statement that failed,
        # an INSERT too whose reply was lost, and report the stored row as a duplicate: so the driver's
        # cursor is used, and a broken connection is thrown away with its pool.
        self._pool = PersistentDB(pymysql, ping=0, threadlocal=threading.local, **self._settings)
        try:
            self._cursor = self._pool.connection().dbapi_connection.cursor()
            self.connections += 1
        except pymysql.MySQLError as error:
            # The driver forgets to close the socket: without this it is open until the collector finds it.
            traceback.clear_frames(error.__traceback__)
            raise self._away(error) from error
        return self._cursor

    def _away(self, error: pymysql.MySQLError) -> Unavailable:
        """Note that MySQL cannot be reached: for a moment, requests are answered without trying."""
        self._away_until = time.monotonic() + PAUSE
        log.warning("MySQL is away: %s", error)
        return Unavailable("the database is away")


def _was_not_executed(error: Exception) -> bool:
    """Tell whether the connection was found closed, so that the statement never left."""
    return error.args[:1] in ((0,), (CR.CR_SERVER_GONE_ERROR,))


def _reply_was_lost(error: Exception) -> bool:
    return error.args[:1] == (CR.CR_SERVER_LOST,)


def _unavailable(error: pymysql.MySQLError) -> Unavailable:
    if error.args[:1] == (ER.QUERY_TIMEOUT,):
        return TookTooLong()
    log.warning("MySQL: %s", error)
    return Unavailable("the database did not answer in time, or answered with an error")
