"""A stack of its own for each test run: MySQL, two API instances and nginx, on a free port."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ops.folder import ROOT
from service.app import create_app
from service.config import Config
from service.person import Person, new_id
from service.store import PeopleStore
from tests.client import InProcess, OverTheWire


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=1, help="how often each fault is made (default: 1)")
    parser.addoption("--seed", type=int, default=secrets.randbelow(1_000_000), help="of the faults (default: any)")


def pytest_report_header(config: pytest.Config) -> str:
    return f"faults: --rounds {config.getoption('rounds')} --seed {config.getoption('seed')}"


class RunningStack(NamedTuple):
    port: int
    data: Path
    root: Path = ROOT

    @property
    def wire(self) -> OverTheWire:
        return OverTheWire(self.port)

    def instance(self, number: int) -> OverTheWire:
        """Return a client of one API instance, past nginx."""
        return OverTheWire(str(self.data / f"run/api{number}.1.sock"))

    @property
    def config(self) -> Config:
        return Config(
            db_socket=str(self.data / "run/mysql.sock"),
            db_password=(self.data / "db_password").read_text(),
            db_timeout=10,
        )

    def rinha(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return rinha(*words, "--port", str(self.port), "--data", str(self.data), root=self.root, **options)

    def sql(self, statements: str) -> list[list[str]]:
        """Return what the mysql client prints, as rows of columns."""
        said = self.rinha("sql", "-e", statements)
        assert said.returncode == 0, said.stderr
        return [line.split("\t") for line in said.stdout.removesuffix("\n").split("\n")[1:]]


def rinha(*words: str, timeout: float = 120, root: Path = ROOT, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of the ./rinha in `root`, with this interpreter in place of .venv."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-P", "-m", "ops", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        **options,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nickname() -> str:
    """Return a nickname nobody has."""
    return secrets.token_hex(8)


def somebody(**fields: Any) -> Person:
    """Return a person with a nickname nobody has, but for `fields`."""
    return Person(new_id(), nickname(), "Ana", "2000-01-01", None)._replace(**fields)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with started(tmp_path_factory.mktemp("stack")) as running:
        yield running


@contextmanager
def started(data: Path) -> Iterator[RunningStack]:
    """Start a stack on a data folder, and stop it."""
    running = RunningStack(free_port(), data)
    said = running.rinha("up", "--detach", timeout=300)
    assert said.returncode == 0, said.stdout + said.stderr
    yield running
    stopped = running.rinha("down")
    assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="session")
def store(stack: RunningStack) -> PeopleStore:
    return PeopleStore(stack.config)


@pytest.fixture(scope="session")
def app(store: PeopleStore) -> Any:
    return create_app(store)


@pytest.fixture(scope="session", params=["in process", "over the wire"])
def client(request: pytest.FixtureRequest, stack: RunningStack, app: Any) -> InProcess | OverTheWire:
    return InProcess(app) if request.param == "in process" else stack.wire
