"""Restarts the members of a MySQL group one at a time, so that the group serves all along."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from ops.console import Progress
from ops.polling import wait_until
from ops.stack.data_directory import DataDirectory
from ops.stack.members import execute, member_name, member_sockets, read_member, read_members

REJOIN_TIMEOUT = 180.0  # seconds in which a member ends, starts again and applies what it has missed
SWITCH_TIMEOUT = 30.0  # seconds
NEARLY_ALL = 100  # a member that lacks fewer transactions applies them within a second


def restart_members(directory: DataDirectory, progress: Progress) -> None:
    """Restart all members, one at a time and the primary last; raise OperatorError.

    `up` starts a member again that has ended. A member ends its clients' connections while it is still in the group.
    Once it has left, a transaction that waits for the group would wait for a minute.
    """
    paths = member_sockets(directory)
    for member in sorted(read_members(directory), key=lambda member: member.is_primary):
        progress(f"restarting member {member.number} of the MySQL group")
        _wait_for_members(directory)
        if read_member(member.number, paths[member.number - 1]).is_primary:
            _make_primary(paths, next(number for number in range(1, len(paths) + 1) if number != member.number))
        _restart_member(directory, member.number, paths[member.number - 1])
    _wait_for_members(directory)


def _restart_member(directory: DataDirectory, number: int, path: Path) -> None:
    name = member_name(number)
    old = directory.running().components[name]
    execute(path, "SET GLOBAL offline_mode = ON")
    os.kill(old.pid, signal.SIGTERM)

    def is_new() -> bool:
        return directory.running().components.get(name) not in (None, old)

    wait_until(is_new, f"member {number} of the MySQL group does not end; see {directory.log}", REJOIN_TIMEOUT)


def _wait_for_members(directory: DataDirectory) -> None:
    def are_up_to_date() -> bool:
        members = read_members(directory)
        return all(one.state == "ONLINE" and one.behind is not None and one.behind < NEARLY_ALL for one in members)

    failure = "a member of the MySQL group is not online, so no further member is restarted; ./rinha status shows it"
    wait_until(are_up_to_date, failure, REJOIN_TIMEOUT)


def _make_primary(paths: Sequence[Path], number: int) -> None:
    """Make a member the primary, and wait until it is."""
    ((identifier,),) = execute(paths[number - 1], "SELECT @@server_uuid")
    for member, path in enumerate(paths, 1):
        if read_member(member, path).is_primary:
            execute(path, f"SELECT group_replication_set_as_primary('{identifier}')")
    failure = f"member {number} of the MySQL group has not become the primary; ./rinha status shows the members"
    wait_until(lambda: read_member(number, paths[number - 1]).is_primary, failure, SWITCH_TIMEOUT)
