"""One connection to MySQL that heals itself. The only module that knows PyMySQL and DBUtils."""

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
from pymysql.constants import CR, ER
from pymysql.converters import encoders
from pymysql.cursors import Cursor

from service.config import Config
from service.errors import TookTooLong, Unavailable

PAUSE = 0.2  # seconds in which nothing is tried after MySQL was found to be away
FULL_TEXT_LIMIT = 188  # of MySQL: "FTS query exceeds result cache limit", which PyMySQL has no name for

Row = Sequence[str]

log = logging.getLogger(__name__)


class DuplicateKey(Exception):
    """A unique key has the value already; `sent_before` tells that it may be this very row that has it."""

    def __init__(self, sent_before: bool) -> None:
        super().__init__()
        self.sent_before = sent_before


class TooMuch(Exception):
    """A full-text search needs more memory than MySQL gives one (innodb_ft_result_cache_limit)."""


class Database:
    """MySQL over one pooled connection, made on first use: make this after forking.

    MySQL does not stop a statement whose client has gone. So before this sends a statement on a new connection, it
    waits until those of the same `name` have ended: at most one statement of a name is alive, whoever was killed.

    Every method raises Unavailable when MySQL does not answer, and then within twice `db_timeout`.
    Later calls find a MySQL that is back by themselves.
    """

    def __init__(self, config: Config, name: str = "") -> None:
        self._name = name or secrets.token_hex(16)
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
        """Return the rows of a query; one whose reply is lost at once is sent again, as it changes nothing.

        Raises TooMuch for a full-text search that needs too much memory, and TookTooLong where MySQL stops it.
        """
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
            connection = self._pool.connection().dbapi_connection
            cursor: Cursor = connection.cursor()
            if not self._is_alone(cursor):
                connection.close()
                raise Unavailable("the database is still busy with an earlier request")
        except pymysql.MySQLError as error:
            # The driver forgets to close the socket: without this it is open until the collector finds it.
            traceback.clear_frames(error.__traceback__)
            raise self._away(error) from error
        self.connections += 1
        self._cursor = cursor
        return cursor

    def _is_alone(self, cursor: Cursor) -> bool:
        """End the connections of this name but the new one; tell whether their statements have ended in time.

        A connection holds a lock of its name, and MySQL releases that when the connection's statement has ended.
        """
        deadline = time.monotonic() + self._timeout / 2
        while True:
            cursor.execute("SELECT GET_LOCK(%s, 0), IS_USED_LOCK(%s)", (self._name, self._name))
            ((alone, holder),) = cursor.fetchall()
            if alone == "1" or time.monotonic() > deadline:
                return bool(alone == "1")
            with contextlib.suppress(pymysql.MySQLError):  # it may have ended just now
                cursor.execute(f"KILL {int(holder or 0)}")
            time.sleep(0.01)

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


def _unavailable(error: pymysql.MySQLError) -> Exception:
    """Return what to raise for an error that no other try will mend."""
    if error.args[:1] == (ER.QUERY_TIMEOUT,):
        return TookTooLong()
    if error.args[:1] == (FULL_TEXT_LIMIT,):
        return TooMuch()
    log.warning("MySQL: %s", error)
    return Unavailable("the database did not answer in time, or answered with an error")
