"""A stack of ./rinha up for the time of a load: on an empty data folder, under limits by control groups."""

import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import ops.stack.mysql
from ops.errors import OperatorError
from ops.stack.data_directory import Folder
from ops.system.cgroups import Consumption, ControlGroups, Limit, divide
from ops.system.processes import usage

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
        client = ops.stack.mysql.Database.of(self._folder, lambda line: None).client()
        return subprocess.run([*client, "-N", "-e", statement], capture_output=True, text=True, check=True).stdout


@contextmanager
def embedded(
    port: int, workers: int, budget: tuple[float, int] | None, folder: Path, report: Callable[[str], None]
) -> Iterator[Embedded]:
    """Start a stack within a budget of CPUs and MB, or without limits, and stop it afterwards.

    If that or what is done meanwhile fails, its data and logs are left in `folder`.
    """
    stack = Folder(folder / "stack")
    words = ["--port", str(port), "--data", str(stack.path), "--instances", str(INSTANCES), "--workers", str(workers)]
    words += ["--cpus", str(budget[0]), "--memory", str(budget[1])] if budget else []
    report("starting the stack")
    said = folder / "up.log"
    with said.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-P", "-m", "ops", "up", *words],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        while not ((state := stack.last_state()) and state.ready):
            if up.poll() is not None:
                raise OperatorError(f"the stack does not start:\n{said.read_text()}")
            time.sleep(0.05)
        yield Embedded(stack, workers, divide(budget[0], budget[1] << 20, INSTANCES) if budget else {})
    finally:
        up.terminate()
        up.wait()
    shutil.rmtree(stack.path)
