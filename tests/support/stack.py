"""A running stack, and the commands on it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ops import ROOT
from ops.stack.data_directory import DataDirectory
from service.config import Config
from tests.support.client import OverTheWire


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
        return DataDirectory(self.data).config(db_timeout=10)

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


@contextmanager
def started(data: Path) -> Iterator[RunningStack]:
    """Start a stack on a data directory, and stop it."""
    running = RunningStack(free_port(), data)
    said = running.rinha("up", "--detach", timeout=300)
    assert said.returncode == 0, said.stdout + said.stderr
    yield running
    stopped = running.rinha("down")
    assert stopped.returncode == 0, stopped.stderr
