"""The members of a MySQL group on this host: how many there are, and what each says of itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pymysql

from ops.errors import OperatorError
from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import connect_as_root
from service.group_watch import count_transactions

ANSWER_TIMEOUT = 2.0  # seconds in which a member tells its state
LONGEST_STATEMENT = 30.0  # seconds: a switch of the primary

_STATES = (
    "SELECT member_id = @@server_uuid, member_state, member_role, @@GLOBAL.offline_mode, "
    "(SELECT COUNT(*) > 2 * SUM(member_state = 'UNREACHABLE') FROM performance_schema.replication_group_members), "
    "REPLACE(@@GLOBAL.gtid_executed, '\\n', '') FROM performance_schema.replication_group_members"
)


class Member(NamedTuple):
    """What a member says of itself: its state and role in the group, whether it sees a majority, and its GTIDs.

    The state of a member that does not answer is AWAY, and that of a member in offline mode is CLOSED.
    """

    number: int
    state: str = "AWAY"
    role: str = ""
    has_majority: bool = False
    executed: str = ""
    behind: int | None = None

    @property
    def is_primary(self) -> bool:
        """Whether the member accepts writes."""
        return self.state == "ONLINE" and self.role == "PRIMARY" and self.has_majority

    def document(self) -> dict[str, object]:
        """Return what a person wants to know of the member as a JSON document."""
        return {"number": self.number, "state": self.state, "role": self.role, "behind": self.behind}


def choose_members(directory: DataDirectory, wanted: int | None) -> None:
    """Remember the number of members in a data directory; None keeps the number. Raises OperatorError.

    Once a directory has a group, it keeps one: people stored without the group would never reach the other members.
    """
    current = len(directory.members)
    if wanted == 1 < current:
        raise OperatorError(
            f"{directory.path} has a group of {current} members; people stored by one server alone would not reach the "
            "other members. Give --members 2 or more, or restore a dump in another data directory"
        )
    if wanted and wanted > 1:
        directory.set_members(wanted)


def member_name(number: int) -> str:
    """Return the name of the component that is a member's server."""
    return "mysql" if number == 1 else f"mysql{number}"


def read_members(directory: DataDirectory, timeout: float = ANSWER_TIMEOUT) -> list[Member]:
    """Return the state of each member, with the number of transactions that it has still to apply."""
    paths = member_sockets(directory)
    members = [read_member(number, path, timeout) for number, path in enumerate(paths, 1)]
    primary = next((member for member in members if member.is_primary), None)
    if primary is None:
        return members
    # The primary tells what it has executed now, so that no member seems to be ahead of it.
    answered = [member for member in members if member.state != "AWAY"]
    statement = f"SELECT {', '.join('GTID_SUBTRACT(@@GLOBAL.gtid_executed, %s)' for _ in answered)}"
    try:
        (missing,) = execute(paths[primary.number - 1], statement, [one.executed for one in answered], timeout)
    except OperatorError:
        return members
    behind = {one.number: count_transactions(gtids) for one, gtids in zip(answered, missing, strict=True)}
    return [member._replace(behind=behind.get(member.number)) for member in members]


def primary_directory(directory: DataDirectory) -> DataDirectory:
    """Return the data directory of the member that accepts writes, or of the only server; raise OperatorError."""
    if len(directory.members) == 1:
        return directory
    for number, member in enumerate(directory.members, 1):
        if read_member(number, member.mysql_socket).is_primary:
            return member
    raise OperatorError("no member of the group accepts writes; ./rinha status shows the members")


def member_sockets(directory: DataDirectory) -> list[Path]:
    """Return the sockets of all members."""
    return [member.mysql_socket for member in directory.members]


def read_member(number: int, path: Path, timeout: float = ANSWER_TIMEOUT) -> Member:
    """Return what a member says of itself now."""
    try:
        rows = [row for row in execute(path, _STATES, timeout=timeout) if row[0]]
    except OperatorError:
        return Member(number)
    if not rows:
        return Member(number, "OFFLINE")
    _, state, role, is_closed, has_majority, executed = rows[0]
    return Member(number, "CLOSED" if is_closed else state, role, bool(has_majority), executed)


def execute(
    path: Path, statement: str, values: Sequence[str] = (), timeout: float = LONGEST_STATEMENT
) -> tuple[tuple[Any, ...], ...]:
    """Return the rows of a statement of MySQL's root on the member that listens on a socket; raise OperatorError."""
    try:
        with (
            connect_as_root(path, connect_timeout=timeout, read_timeout=timeout) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values or None)
            return tuple(cursor.fetchall())
    except pymysql.MySQLError as error:
        raise OperatorError(f"MySQL: {error}") from None
