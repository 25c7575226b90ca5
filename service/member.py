"""One member of a MySQL group: whether it is in the group, what it has applied, and which INSERTs it executed."""

import contextlib
import logging
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import ER

from service.config import Config
from service.database import Connector, Database, DuplicateKey, Row, is_duplicate, text_of, was_not_sent
from service.errors import Unavailable

# Errors of statements that were not executed: the member is read-only or offline, or could not wait for the group. Any
# other error leaves open whether the group has the row: a member may fail, or roll back, after it has sent the row.
_NOT_EXECUTED = ((ER.OPTION_PREVENTS_STATEMENT,), (3032,), (3796,), (3797,), (3798,))
GROUP = "performance_schema.replication_group_members"
# The role of a member that serves. One that sees no majority of the group may have been expelled, and does not know it.
ROLE = (
    "IF(SUM(member_state = 'UNREACHABLE') * 2 >= COUNT(*), '', "
    "MAX(IF(member_id = @@server_uuid AND member_state = 'ONLINE', member_role, '')))"
)
_ROLE = f"SELECT {ROLE} FROM {GROUP}"
# MySQL does not wait before a statement that reads its own tables only, so this one reads a table of the service too.
_ROLE_AFTER_WAIT = f"SELECT ({_ROLE}) FROM contagem"

log = logging.getLogger(__name__)


class Doubtful(Exception):
    """The group may have the row of an INSERT, or may get it still."""


class Member(Database):
    """A pooled connection to one member of a MySQL group, and a second one that waits for the group.

    A connection is made only while the member is in the group.
    """

    def __init__(self, config: Config, name: str = "") -> None:
        name = name or secrets.token_hex(16)
        self._connector: _MemberConnector = _MemberConnector(config, name)
        super().__init__(config, name, self._connector)
        waiting = _MemberConnector(config, f"{name} waits", ", group_replication_consistency = 'BEFORE'")
        self._waiting = Database(config, name, waiting)

    def catch_up(self) -> str:
        """Wait until the member has applied what the group has committed; return PRIMARY or SECONDARY.

        With the consistency BEFORE, a member waits for the group before it executes a statement. A member that has left
        the group does not wait; it does not have a role either.
        """
        return _parse_role(self._waiting.read(_ROLE_AFTER_WAIT))

    def role(self) -> str:
        """Return PRIMARY or SECONDARY, as the member knows it; raise Unavailable if it is in no group."""
        return _parse_role(self.read(_ROLE))

    def insert_once(self, statement: str, values: Sequence[str | None], timeout: float) -> None:
        """Send an INSERT once, and wait `timeout` seconds for its reply.

        Raises DuplicateKey, Unavailable if the INSERT was not executed, or Doubtful if it may have been.
        """
        try:
            with self._connector.read_timeout(timeout):
                self._execute(statement, values)
        except pymysql.MySQLError as error:
            if is_duplicate(error):
                raise DuplicateKey(was_repeated=False) from None
            log.warning("MySQL: %s", text_of(error))
            if was_not_sent(error) or error.args[:1] in _NOT_EXECUTED:
                raise Unavailable("the member does not accept writes") from error
            raise Doubtful from error


class _MemberConnector(Connector):
    """Makes connections to a member that is in the group when the connection is made."""

    def __init__(self, config: Config, name: str, session: str = "") -> None:
        # A statement that waits for the group does so for wait_timeout, also if its client is gone.
        super().__init__(config, name, f"{session}, wait_timeout = 60")
        self._connection: Connection[Any] | None = None
        self._read_timeout: float | None = None  # of the statements of a context, see below

    def connect(self) -> "Connection[Any]":
        """Return a new connection as Connector does; raise Unavailable if the member is not in the group."""
        connection = super().connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(_ROLE)
                _parse_role(cursor.fetchall())
        except (pymysql.MySQLError, Unavailable) as error:
            connection.close()
            raise Unavailable("the member of the group does not serve") from error
        self._connection = connection
        self._set_read_timeout(self._read_timeout)
        return connection

    @contextlib.contextmanager
    def read_timeout(self, seconds: float) -> Iterator[None]:
        """Let the statements of a context wait for their replies for so many seconds, on a new connection too."""
        self._read_timeout = seconds
        self._set_read_timeout(seconds)
        try:
            yield
        finally:
            self._read_timeout = None
            self._set_read_timeout(self._settings["read_timeout"])

    def _set_read_timeout(self, seconds: float | None) -> None:
        if self._connection and seconds is not None:
            self._connection._read_timeout = seconds  # type: ignore[attr-defined]  # PyMySQL has no method for it


def _parse_role(rows: Sequence[Row]) -> str:
    """Return PRIMARY or SECONDARY; raise Unavailable if a member has neither role."""
    role = rows[0][0]
    if role not in ("PRIMARY", "SECONDARY"):
        raise Unavailable("the member is not in the group")
    return role
