"""A stack with a MySQL group: its members, their faults, and what each member finds of the acknowledged people."""

import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pymysql

from ops import ROOT
from ops.errors import OperatorError
from ops.stack.data_directory import DataDirectory
from ops.stack.members import Member, member_name, read_members
from ops.stack.mysql import connect_as_root
from ops.system.processes import kill_group
from service.config import Config
from service.store import PeopleStore
from tests.support.history import Action, Event, acknowledged_person
from tests.support.observed_stack import ObservedStack
from tests.support.polling import wait_until

SMALL_CACHE = 1_600_000  # bytes of InnoDB's full-text cache; with it, InnoDB syncs often
FORMED = 120.0  # seconds in which all members are members again


class ObservedCluster(ObservedStack):
    """A stack whose MySQL is a group of members."""

    @property
    def directory(self) -> DataDirectory:
        """The data directory of the stack."""
        return self.stack.directory

    def members(self) -> list[Member]:
        """Return the state of each member."""
        return read_members(self.directory)

    def primary(self) -> int:
        """Return the number of the primary, after waiting for one."""
        wait_until(lambda: any(one.is_primary for one in self.members()), FORMED)
        return next(one.number for one in self.members() if one.is_primary)

    def secondaries(self) -> list[int]:
        """Return the numbers of the members that are online and not the primary."""
        return [one.number for one in self.members() if one.state == "ONLINE" and not one.is_primary]

    def mysqld(self, number: int) -> int:
        """Return the process of a member."""
        return self.component(member_name(number))

    def kill(self, *numbers: int) -> None:
        """Kill members at once, with SIGKILL; `up` starts them again."""
        for process in [self.mysqld(number) for number in numbers]:
            kill_group(process)

    def pause(self, number: int, seconds: float) -> None:
        """Stop a member with SIGSTOP, and continue it."""
        process = self.mysqld(number)
        os.kill(process, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(process, signal.SIGCONT)

    def restart(self, number: int) -> None:
        """End a member with SIGTERM, and wait until it is a member again."""
        before = self.mysqld(number)
        os.kill(before, signal.SIGTERM)
        wait_until(lambda: self._is_new(number, before), FORMED)
        self.wait_for_members()

    def _is_new(self, number: int, before: int) -> bool:
        component = self.state.components.get(member_name(number))
        return component is not None and component.pid != before

    def switch_to(self, number: int) -> None:
        """Make a member the primary."""
        with connect_as_root(self.socket(self.primary())) as connection, connection.cursor() as cursor:
            with connect_as_root(self.socket(number)) as other, other.cursor() as new:
                new.execute("SELECT @@server_uuid")
                ((identifier,),) = new.fetchall()
            cursor.execute("SELECT group_replication_set_as_primary(%s)", (identifier,))

    def socket(self, number: int) -> Path:
        """Return the socket of a member."""
        return self.directory.members[number - 1].mysql_socket

    def wait_for_members(self) -> None:
        """Wait until all members are online and have applied every transaction."""
        wait_until(
            lambda: all(one.state == "ONLINE" and one.behind == 0 for one in self.members()),
            FORMED,
            lambda: "\n".join([*map(str, self.members()), self.log("up.log")]),
            (pymysql.MySQLError, OperatorError, OSError),
        )

    def log(self, name: str) -> str:
        """Return the end of a log."""
        return "\n".join((self.stack.data / "log" / name).read_text().splitlines()[-12:])

    def audit(self, history: Sequence[Event]) -> list[str]:
        """Return what a member lacks of the acknowledged people: by id, by search, in the count, in the rows."""
        self.wait_for_members()
        people = [acknowledged_person(one) for one in history if one.action is Action.CREATE and one.status == 201]
        problems, checksums, counts = [], set(), set()
        for number in range(1, len(self.members()) + 1):
            store = PeopleStore(self._config(number))
            counts.add(store.count())
            for person in people:
                if store.get(person.id) != person:
                    problems.append(f"member {number} does not have {person.nickname}")
                elif store.search(person.nickname) != [person]:
                    problems.append(f"member {number} does not find {person.nickname}")
            with connect_as_root(self.socket(number), database="rinha") as connection, connection.cursor() as cursor:
                cursor.execute("CHECKSUM TABLE pessoas, contagem")
                checksums.add(tuple(checksum for _, checksum in cursor.fetchall()))
                cursor.execute("SELECT COUNT(*) FROM pessoas")
                counts.add(cursor.fetchall()[0][0])
        if len(checksums) > 1 or len(counts) > 1:
            problems.append(f"the members differ: {checksums}, counts {counts}")
        return problems

    def _config(self, number: int) -> Config:
        password = self.directory.password_file.read_text()
        return Config(db_socket=str(self.socket(number)), db_password=password, db_timeout=10)


def checkout_for_faults(path: Path) -> Path:
    """Return a copy of the checkout with the smallest full-text cache, and workers whose clocks are 2 s off."""
    shutil.copytree(ROOT, path, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    _replace(path / "db/my.cnf", "= 80000000", f"= {SMALL_CACHE}")
    clock = "(time.time_ns() + (2 if getpid() % 2 else -2) * 10**9) //"
    _replace(path / "service/person.py", "time.time_ns() //", clock)
    _replace(path / "service/person.py", "from os import urandom", "from os import getpid, urandom")
    return path


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@contextmanager
def observed_cluster(data: Path, root: Path = ROOT, members: int = 3, *options: str) -> Iterator[ObservedCluster]:
    """Run a stack with a group, and kill all of its processes at the end, in whatever state they are."""
    site = ObservedCluster(data, root)
    site.stack.up("--members", str(members), *options)
    try:
        site.wait_for_members()
        yield site
    finally:
        if state := site.directory.last_state():
            kill_group(state.pid)
            for component in state.components.values():
                kill_group(component.pid)
