"""API instances of a test: `python -m service` on a unix socket or a TCP port, with the MySQL of a stack."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from ops import ROOT
from ops.system.processes import members
from service.config import Config
from tests.support.client import Answer, OverTheWire
from tests.support.polling import TIMEOUT, wait_until
from tests.support.stack import RunningStack, free_port

LONG_TIMEOUTS = {"DB_TIMEOUT": "30", "SHUTDOWN_TIMEOUT": "30"}
SHARED, EACH, TCP = "a socket", "a socket for each worker", "a port"
LISTENERS = pytest.mark.parametrize("listener", [SHARED, EACH, TCP])
SOCKETS = pytest.mark.parametrize("listener", [SHARED, EACH])

Address = str | tuple[str, int]  # of a unix socket, or host and port
Start = Callable[..., "Instance"]


def listen_setting(listener: str, directory: Path) -> str:
    """Return a value of LISTEN."""
    return {
        SHARED: f"unix:{directory}/api.sock",
        EACH: f"unix:{directory}/api.%.sock",
        TCP: f"127.0.0.1:{free_port()}",
    }[listener]


def service_environment(stack: RunningStack, **settings: str) -> dict[str, str]:
    """Return an environment with `settings`, MySQL's address, and no other setting of the service."""
    names = {name for field in fields(Config) for name in (field.name.upper(), f"{field.name.upper()}_FILE")}
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    database = {"DB_SOCKET": stack.config.db_socket, "DB_PASSWORD": stack.config.db_password}
    return {**inherited, "PYTHONPATH": str(ROOT), **database, **settings}


def connect(address: Address) -> socket.socket:
    """Return a new connection."""
    if not isinstance(address, str):
        return socket.create_connection(address, TIMEOUT)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(TIMEOUT)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def accepts(address: Address) -> bool:
    """Return whether an address accepts a connection."""
    try:
        connect(address).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


class Instance:
    """An API instance in its own process group, seen from outside."""

    def __init__(self, environment: dict[str, str], log: Path, command: tuple[str, ...] = ("-m", "service")) -> None:
        self.listen = environment["LISTEN"]
        self.worker_count = int(environment["WORKERS"])
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def addresses(self) -> list[Address]:
        """The addresses on which it listens: one, or one for each worker."""
        host, _, port = self.listen.rpartition(":")
        if host != "unix":
            return [(host.strip("[]"), int(port))]
        paths = [port.replace("%", str(number)) for number in range(1, self.worker_count + 1)]
        return [*dict.fromkeys(paths)]

    @property
    def client(self) -> OverTheWire:
        """A client of the first address."""
        return self.client_of(self.addresses[0])

    def client_of(self, address: Address) -> OverTheWire:
        """Return a client of an address."""
        return OverTheWire(address if isinstance(address, str) else address[1])

    def connect(self) -> socket.socket:
        """Return a new connection to the first address."""
        return connect(self.addresses[0])

    def open_addresses(self) -> int:
        """Return how many of its addresses accept a connection."""
        return sum(map(accepts, self.addresses))

    def get(self, path: str) -> Answer:
        """Send a GET to each address; return the answer, which has the same status everywhere."""
        answers = [self.client_of(address).request("GET", path) for address in self.addresses]
        assert len({answer.status for answer in answers}) == 1, answers
        return answers[0]

    def log(self) -> str:
        """Return the log so far."""
        return self._log.read_text()

    def workers(self) -> set[int]:
        """Return the processes except the supervisor."""
        return set(members(self.process.pid)) - {self.process.pid}

    def wait_for_workers(self, count: int) -> None:
        """Wait until there are `count` workers."""
        wait_until(lambda: len(self.workers()) == count, describe=self.log)

    def wait(self) -> int:
        """Wait for the end; return the exit status."""
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        """Kill all processes that remain, stopped ones too."""
        if members(self.process.pid):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(TIMEOUT)
        wait_until(lambda: not members(self.process.pid))  # a dying worker holds the listening socket
