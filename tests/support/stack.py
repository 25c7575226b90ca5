"""Stacks for the tests, and the operator's commands on them."""

import fcntl
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ops import ROOT
from ops.errors import OperatorError
from ops.stack.data_directory import DataDirectory, State
from ops.system.ports import check_port
from service.config import Config
from tests.support.client import OverTheWire

SHARED = "RINHA_TESTS"  # the variable with the directory that the workers of a test run share
SMALL = ("--instances", "1", "--workers", "1")  # options of `up` for a stack that starts quickly


class RunningStack(NamedTuple):
    """A stack: its port, its data directory, and the checkout that runs it."""

    port: int
    data: Path
    root: Path = ROOT

    @property
    def wire(self) -> OverTheWire:
        """A client of the stack's port."""
        return OverTheWire(self.port)

    def instance(self, number: int) -> OverTheWire:
        """Return a client of the first worker of an API instance, past nginx."""
        return OverTheWire(str(self.data / f"run/api{number}.1.sock"))

    @property
    def directory(self) -> DataDirectory:
        """The data directory, as the operator's commands see it."""
        return DataDirectory(self.data)

    @property
    def config(self) -> Config:
        """The settings of a service that uses the stack's MySQL."""
        return self.directory.config(db_timeout=10)

    @property
    def state(self) -> State:
        """The state that `up` wrote last."""
        state = self.directory.last_state()
        assert state, "no stack has run here"
        return state

    @property
    def options(self) -> tuple[str, ...]:
        """The options that name this stack to a command."""
        return "--port", str(self.port), "--data", str(self.data)

    def rinha(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on this stack."""
        return rinha(*arguments, *self.options, root=self.root, **options)

    def copy_new_database(self) -> None:
        """Copy a new database, which takes a tenth of the time that its initialisation takes."""
        shutil.copytree(new_database(), self.data, dirs_exist_ok=True)

    def up(self, *options: str, timeout: float = 300) -> str:
        """Start the stack in the background; return the output of `up`."""
        completed = self.rinha("up", "--detach", *options, timeout=timeout)
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    def down(self) -> None:
        """Stop the stack."""
        completed = self.rinha("down")
        assert completed.returncode == 0, completed.stderr

    def sql(self, statements: str) -> list[list[str]]:
        """Return the output of `sql` as rows of columns."""
        completed = self.rinha("sql", "-e", statements)
        assert completed.returncode == 0, completed.stderr
        return [line.split("\t") for line in completed.stdout.removesuffix("\n").split("\n")[1:]]


def ops_command(*arguments: str) -> list[str]:
    """Return the command line of a command of ./rinha, with this interpreter in place of .venv."""
    return [sys.executable, "-P", "-m", "ops", *arguments]


def ops_environment(root: Path = ROOT) -> dict[str, str]:
    """Return the environment in which the commands of the checkout `root` run: that of a shell on a terminal.

    tox and CI have no TERM, and tox sets PYTHONIOENCODING. Commands and their stacks are not measured for coverage:
    that would nearly double their CPU. The tests in this process and those of single instances reach the floor.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONIOENCODING" and not name.startswith("COVERAGE_PROCESS")
    }
    return {**inherited, "TERM": "xterm-256color", "PYTHONPATH": str(root)}


def rinha(*arguments: str, timeout: float = 120, root: Path = ROOT, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of the ./rinha in the checkout `root`."""
    return subprocess.run(
        ops_command(*arguments), env=ops_environment(root), capture_output=True, text=True, timeout=timeout, **options
    )


def free_port() -> int:
    """Return a TCP port that is free now on every address.

    The kernel takes the ports of outgoing connections from 32768 on. A load leaves thousands of them unusable.
    """
    while True:
        port = random.randrange(20_000, 32_768)
        with suppress(OperatorError):
            check_port(port)
            return port


@cache
def new_database() -> Path:
    """Return a data directory with a new database; the first worker of the tests that needs it makes it."""
    made = Path(os.environ[SHARED]) / "database"
    with (made.parent / "database.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            stack = RunningStack(free_port(), made.parent / "database.part")
            stack.up(*SMALL)
            stack.down()
            for name in ("run", "log"):
                shutil.rmtree(stack.data / name)
            stack.data.rename(made)
    return made


@contextmanager
def running_stack(data: Path, *options: str) -> Iterator[RunningStack]:
    """Run a stack on an empty data directory. Its logs stay; its database, with the reserve of disk, takes 350 MB."""
    stack = RunningStack(free_port(), data)
    stack.copy_new_database()
    stack.up(*options)
    try:
        yield stack
    finally:
        stack.down()
        shutil.rmtree(data / "mysql", ignore_errors=True)
