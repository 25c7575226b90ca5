"""The people in MySQL. The only module that knows MySQL, PyMySQL and DBUtils."""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import pymysql
from dbutils.persistent_db import PersistentDB
from pymysql.constants import CR, ER
from pymysql.converters import encoders

from service.config import Config
from service.errors import NicknameTaken, Unavailable
from service.person import Person, has_control_character
from service.search import plan

SCHEMA = "schema 1"  # the comment of the table in db/schema.sql
SEARCH_LIMIT = 50
PAUSE = 0.2  # seconds in which nothing is tried after MySQL was found to be away

_COLUMNS = "id, apelido, nome, nascimento, stack"
_INSERT = f"INSERT INTO pessoas ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s)"
_BY_ID = f"SELECT {_COLUMNS} FROM pessoas WHERE id = %s"
_BY_SCAN = f"SELECT {_COLUMNS} FROM pessoas WHERE busca LIKE %s LIMIT {SEARCH_LIMIT}"
_BY_TRIGRAMS = (
    f"SELECT {_COLUMNS} FROM pessoas "
    f"WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND busca LIKE %s LIMIT {SEARCH_LIMIT}"
)
_COUNT = "SELECT COUNT(*) FROM pessoas"
_SCHEMA = "SELECT table_comment FROM information_schema.tables WHERE table_schema = %s AND table_name = 'pessoas'"

log = logging.getLogger(__name__)


class PeopleStore:
    """People that outlive every process: what `add` has returned from is on disk and found by all.

    Holds one pooled connection, made on first use: make the store after forking. Every method
    raises Unavailable when MySQL does not answer, and then within twice `db_timeout`; later calls
    find a MySQL that is back by themselves.
    """

    def __init__(self, config: Config) -> None:
        self._db_name = config.db_name
        self._timeout = config.db_timeout
        self._away_until = 0.0
        address: dict[str, Any] = (
            # On a socket of the same host, TLS would only cost (PyMySQL takes it wherever it is offered).
            {"unix_socket": config.db_socket, "ssl_disabled": True}
            if config.db_socket
            else {"host": config.db_host, "port": config.db_port}
        )
        self._pool = PersistentDB(
            pymysql,
            # DBUtils may send a statement again only if it was certainly not executed; its default
            # would repeat an INSERT whose reply was lost and report the stored row as a duplicate.
            isfatal=_was_not_executed,
            ping=0,  # a round trip on every request, to learn what the statement tells anyway
            threadlocal=threading.local,
            **address,
            user=config.db_user,
            password=config.db_password,
            database=config.db_name,
            charset="utf8mb4",
            autocommit=True,
            conv=encoders,  # values come as MySQL writes them: a date is the text it came in as
            connect_timeout=config.db_timeout / 2,
            read_timeout=config.db_timeout,
            write_timeout=config.db_timeout,
            init_command=f"SET SESSION max_execution_time = {int(config.db_timeout * 900)}",
        )

    def add(self, person: Person) -> None:
        """Store `person`, durably; raise NicknameTaken if another person has the nickname.

        Where the reply to the INSERT is lost, the same row is sent once more and MySQL's keys tell
        whether the first was stored. Only if that fails too is the outcome unknown: Unavailable.
        """
        identifier, nickname, name, birth_date, stack = person
        values = (identifier, nickname, name, birth_date, None if stack is None else "\n".join(stack))
        for sent_before in (False, True):
            try:
                self._execute(_INSERT, values)
                return
            except pymysql.IntegrityError as error:
                if error.args[0] != ER.DUP_ENTRY:
                    raise _unavailable(error) from error
                if sent_before and self.get(identifier):
                    return
                raise NicknameTaken("the nickname is taken") from None
            except pymysql.MySQLError as error:
                if sent_before or not _reply_was_lost(error):
                    raise _unavailable(error) from error

    def get(self, identifier: bytes) -> Person | None:
        """Return the person with this id, or None."""
        rows = self._read(_BY_ID, (identifier,))
        return _person(rows[0]) if rows else None

    def search(self, term: str) -> list[Person]:
        """Return at most 50 people with `term` in a field, all of them if there are fewer."""
        if has_control_character(term):
            return []  # nobody's field has one, but the text that joins the fields does
        trigrams, pattern = plan(term)
        if trigrams:
            rows = self._read(_BY_TRIGRAMS, (" ".join(f'+"{trigram}"' for trigram in trigrams), pattern))
        else:
            rows = self._read(_BY_SCAN, (pattern,))
        return [_person(row) for row in rows]

    def count(self) -> int:
        """Return the number of people at this moment."""
        return int(self._read(_COUNT)[0][0])

    def check(self) -> None:
        """Return if MySQL answers and has the schema of this release."""
        found = [comment for (comment,) in self._read(_SCHEMA, (self._db_name,))]
        if found != [SCHEMA]:
            raise Unavailable(f"the database has {found[0] if found else 'no schema'}, not {SCHEMA}")

    def _read(self, statement: str, values: Sequence[object] = ()) -> Sequence[Sequence[Any]]:
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

    def _execute(self, statement: str, values: Sequence[object]) -> Sequence[Sequence[Any]]:
        """Return the rows of a statement; raise Unavailable if it was not sent for want of a connection."""
        if time.monotonic() < self._away_until:
            raise Unavailable("the database is away")
        try:
            connection = self._pool.connection()
        except pymysql.MySQLError as error:
            raise self._away(error) from error
        with connection.cursor() as cursor:
            try:
                cursor.execute(statement, values)
            except pymysql.MySQLError as error:
                if _was_not_executed(error):  # and DBUtils could not connect again
                    raise self._away(error) from error
                raise
            return cursor.fetchall()  # type: ignore[no-any-return]

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
    log.warning("MySQL: %s", error)
    if error.args[:1] == (ER.QUERY_TIMEOUT,):
        return Unavailable("the search took too long and was stopped")
    return Unavailable("the database did not answer in time, or answered with an error")


def _person(row: Sequence[Any]) -> Person:
    identifier, nickname, name, birth_date, stack = row
    return Person(identifier, nickname, name, birth_date, stack.split("\n") if stack else None if stack is None else [])
