"""A stack of ./rinha up for the time of a load: on an empty data folder, under limits by control groups."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import db.server
from ops.folder import Folder, OperatorError
from ops.limits import Consumption, ControlGroups, Limit, divide
from ops.processes import usage

INSTANCES = 2


class Embedded:
    """The running processes of ./rinha up."""

    def __init__(self, folder: Folder, workers: int, limits: Mapping[str, Limit]) -> None:
        state = folder.running()
        self._folder = folder
        self._parts = state.parts
        self._groups = ControlGroups(state.pid)
        self.limits = limits
        self.workers = workers
        self.versions = {"Python": platform.python_version()}
        self.made_of = "./rinha up"

    def consumption(self) -> Mapping[str, Consumption]:
        """Return what each part uses."""
        if self.limits:
            return {name: self._groups.group(name).consumption() for name in self.limits}
        used = {name: usage(part.pid) for name, part in self._parts.items()}
        return {name: Consumption(part.cpu, part.memory, 0) for name, part in used.items()}

    def query(self, statement: str) -> str:
        """Return what MySQL's root gets for a statement: lines of columns with tabs between."""
        client = db.server.Database.of(self._folder, lambda line: None).client()
        return subprocess.run([*client, "-N", "-e", statement], capture_output=True, text=True, check=True).stdout


@contextmanager
def embedded(
    port: int, workers: int, budget: tuple[float, int] | None, folder: Path, report: Callable[[str], None]
) -> Iterator[Embedded]:
    """Start a stack within a budget of CPUs and MB, or without limits, and stop it afterwards.

    If that or what is done meanwhile fails, its data and logs are left in `folder`.
    """
    data = folder / "stack"
    words = ["--port", str(port), "--data", str(data)]
    options = ["--cpus", str(budget[0]), "--memory", str(budget[1])] if budget else []
    options += ["--instances", str(INSTANCES), "--workers", str(workers)]
    ops = [sys.executable, "-P", "-m", "ops"]
    report("starting the stack")
    try:
        up = subprocess.run([*ops, "up", *words, *options, "--detach"], capture_output=True, text=True)
        if up.returncode:
            raise OperatorError(f"the stack does not start:\n{up.stdout}{up.stderr}")
        limits = divide(budget[0], budget[1] << 20, INSTANCES) if budget else {}
        yield Embedded(Folder(data), workers, limits)
    finally:
        subprocess.run([*ops, "down", *words], capture_output=True)
    shutil.rmtree(data)
