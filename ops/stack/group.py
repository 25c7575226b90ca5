"""Starts the servers of a MySQL group on this host, and the script that keeps them together."""

import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ops.console import Progress
from ops.errors import OperatorError
from ops.stack.capacity import SPARE_CONNECTIONS, Capacity
from ops.stack.data_directory import DataDirectory
from ops.stack.members import execute, member_name, member_sockets, primary_directory, read_members
from ops.stack.mysql import CONFIGURATION, MySQLServer, reserve_command
from service.store import SCHEMA

FORM_TIMEOUT = 120.0  # seconds in which all members answer and the group forms
CONNECTIONS = 2  # of a worker to each member: for statements, and to wait for the group
PORTS = range(20_000, 32_000)  # below the ports that the kernel gives to outgoing connections

# What group.sh does last, with the tables and the account.
_PREPARED = (
    "SELECT (SELECT COUNT(*) FROM mysql.tables_priv WHERE table_name = 'replication_group_members') AND "
    "(SELECT table_comment FROM information_schema.tables WHERE (table_schema, table_name) = ('rinha', 'pessoas')) "
    f"= '{SCHEMA}' AND NOT (SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'rinha_nova')"
)


class MySQLGroup:
    """The servers of a group, each with its data directory."""

    def __init__(self, directory: DataDirectory, progress: Progress) -> None:
        """Find the programs and choose free ports; raise OperatorError."""
        self._directory = directory
        self._directories = directory.members
        for member in self._directories:
            member.make()
        self._servers = [
            MySQLServer(member, progress, member_name(number)) for number, member in enumerate(self._directories, 1)
        ]
        self._ports = _free_ports(len(self._directories))
        for name in ("db_password", "group_password"):
            _make_secret(directory.path / name)

    def initialise(self, progress: Progress) -> None:
        """Write the settings of each member, and create its system tables unless they exist; raise OperatorError."""
        for member, server in zip(self._directories, self._servers, strict=True):
            server.remove_stale_lock()
            server.initialise(progress)
            (member.path / "mysql.unfinished").unlink(missing_ok=True)  # the group makes the tables
            with (member.path / "my.cnf").open("a") as settings:
                settings.write((CONFIGURATION / "member.cnf").read_text())

    def socket(self, name: str) -> Path:
        """Return the socket of the member whose component has this name."""
        names = [member_name(number) for number in range(1, len(self._directories) + 1)]
        return self._directories[names.index(name)].mysql_socket

    def commands(self, capacity: Capacity) -> Iterator[tuple[str, list[str]]]:
        """Yield the name and the command line of each member, for a stack with this capacity for one server."""
        more = (CONNECTIONS - 1) * (capacity.user_connections - SPARE_CONNECTIONS)
        capacity = capacity._replace(
            user_connections=capacity.user_connections + more, connections=capacity.connections + more
        )
        for number, server in enumerate(self._servers, 1):
            command = server.command(capacity)
            command.remove("--skip-networking")
            yield (
                member_name(number),
                [
                    *command,
                    "--super-read-only=ON",  # until the member has joined; not in a file, for --initialize needs writes
                    "--bind-address=127.0.0.1",
                    f"--port={self._ports[number - 1]}",
                    f"--server-id={number}",
                    "--report-host=127.0.0.1",
                ],
            )

    def keeper_command(self) -> list[str]:
        """Return the command line of the script that keeps the members together."""
        return ["bash", str(CONFIGURATION / "group.sh"), str(self._directory.path), *self._sockets_and_client()]

    def reserve_command(self) -> list[str]:
        """Return the command line that keeps a reserve of disk for each member."""
        primary = ["bash", str(CONFIGURATION / "primary.sh"), *self._sockets_and_client()]
        return reserve_command(self._directory, primary)

    def _sockets_and_client(self) -> list[str]:
        return [*map(str, member_sockets(self._directory)), "--", *self._servers[0].client_without_socket()]

    def wait(self, is_alive: Callable[[], bool]) -> None:
        """Wait until the group accepts writes and has the tables of this release.

        An upgrade of the tables may take long. Raises OperatorError after `FORM_TIMEOUT` seconds without a group.
        """
        deadline = time.monotonic() + FORM_TIMEOUT
        while not self._is_prepared():
            if any(member.is_primary for member in read_members(self._directory)):
                deadline = time.monotonic() + FORM_TIMEOUT
            if time.monotonic() > deadline or not is_alive():
                raise OperatorError(f"the members form no group; the reason is above, and in {self._directory.log}")
            time.sleep(0.2)

    def _is_prepared(self) -> bool:
        try:
            return execute(primary_directory(self._directory).mysql_socket, _PREPARED) == ((1,),)
        except OperatorError:
            return False


def _make_secret(path: Path) -> None:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(16))


def _free_ports(count: int) -> list[int]:
    """Return ports on which the members can listen; each member keeps its port while `up` runs."""
    found: list[int] = []
    for port in random.sample(PORTS, 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OperatorError(f"no {count} TCP ports from {PORTS[0]} to {PORTS[-1]} are free; user {os.geteuid()} needs them")
