"""A stack for faults: its processes, its rows, and the moments when it serves again."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql

from ops import ROOT
from ops.stack.data_directory import State
from ops.system.processes import kill_group, members
from service.person import Person
from tests.support.client import OverTheWire
from tests.support.mysql import fetch_rows, root_cursor, service_connections
from tests.support.polling import wait_until
from tests.support.processes import kill
from tests.support.stack import RunningStack, free_port

WORKERS = [(instance, worker) for instance in ("api1", "api2") for worker in range(1, 5)]
NOT_SERVING = (pymysql.MySQLError, OSError)


class ObservedStack:
    """A stack, what tests do to it, and what they see of it from outside."""

    def __init__(self, data: Path, root: Path = ROOT, options: Sequence[str] = ()) -> None:
        self._options = options  # of `up`
        self.stack = RunningStack(free_port(), data, root)
        self.stop_seconds = 3.0  # for which MySQL is stopped
        self.idle_files = 0  # that a worker has open while there are no requests

    @property
    def state(self) -> State:
        """The state that `up` wrote last."""
        return self.stack.state

    def up(self) -> None:
        """Start the stack."""
        self.stack.up(*self._options, timeout=100)

    def component(self, name: str) -> int:
        """Return the process that leads a component's group."""
        return self.state.components[name].pid

    def components(self) -> list[int]:
        """Return the processes that lead the groups of all components."""
        return [component.pid for component in self.state.components.values()]

    def workers(self) -> dict[str, set[int]]:
        """Return the workers of each instance."""
        return {name: {*members(self.component(name))} - {self.component(name)} for name in ("api1", "api2")}

    def query(self, statement: str) -> tuple[Any, ...]:
        """Return the rows of a statement of MySQL's root; raise MySQLError if MySQL does not answer."""
        with root_cursor(self.stack, connect_timeout=2, read_timeout=20) as cursor:
            return fetch_rows(cursor, statement)

    def count_rows(self) -> int:
        """Return the number of people in the table."""
        return int(self.query("SELECT COUNT(*) FROM pessoas")[0][0])

    def people(self, since: float = 0) -> list[Person]:
        """Return the people whose ids were made since a time, in seconds of the epoch, by the primary key."""
        found = self.query(
            "SELECT id, apelido, nome, nascimento, stack FROM pessoas FORCE INDEX (PRIMARY) "
            f"WHERE id >= X'{int(since * 1000):012x}'"
        )
        return [
            Person(identifier, nickname, name, str(birth_date), None if skills is None else skills.split("\n"))
            for identifier, nickname, name, birth_date, skills in found
        ]

    def check_table(self) -> None:
        """Check that MySQL finds the table and its indexes intact."""
        assert [row[-1] for row in self.query("CHECK TABLE pessoas EXTENDED")] == ["OK"]

    def wait_for_mysql(self) -> None:
        """Wait until MySQL answers."""
        wait_until(lambda: self.query("SELECT 1"), errors=NOT_SERVING)

    def wait_for_service(self, timeout: float = 60) -> None:
        """Wait until every worker is ready; fail after `timeout` seconds."""
        wait_until(lambda: all(self._is_ready(*worker) for worker in WORKERS), timeout, errors=NOT_SERVING)

    def wait_for_quiet(self) -> None:
        """Wait until the service has at most one connection to MySQL per worker."""

        def is_quiet() -> bool:
            with root_cursor(self.stack) as cursor:
                return service_connections(cursor) <= len(WORKERS)

        wait_until(is_quiet, 5, errors=NOT_SERVING)

    def wait_for_component(self, name: str, killed: int) -> None:
        """Wait until a component has another leading process than the killed one."""
        wait_until(lambda: (component := self.state.components.get(name)) and component.pid != killed)

    def most_open_files(self) -> int:
        """Return the greatest number of files, sockets included, that a worker has open."""
        return max(len(os.listdir(f"/proc/{pid}/fd")) for pids in self.workers().values() for pid in pids)

    def worker_clients(self) -> list[OverTheWire]:
        """Return a client of each worker."""
        return [OverTheWire(self._socket(*worker), 5) for worker in WORKERS]

    def _is_ready(self, instance: str, worker: int) -> bool:
        return OverTheWire(self._socket(instance, worker), 5).request("GET", "/health/ready").status == 200

    def _socket(self, instance: str, worker: int) -> str:
        return str(self.stack.data / f"run/{instance}.{worker}.sock")


@contextmanager
def observed_stack(data: Path, root: Path = ROOT, *options: str) -> Iterator[ObservedStack]:
    """Run a stack with options of `up`, and kill all of its processes at the end, in whatever state they are."""
    site = ObservedStack(data, root, options)
    site.stack.copy_new_database()
    site.up()
    try:
        yield site
    finally:
        if state := site.stack.directory.last_state():
            kill(state.pid)
            for component in state.components.values():
                kill_group(component.pid)
            wait_until(lambda: not any(members(component.pid) for component in state.components.values()))
