"""A stack of ./rinha up for one load: on an empty data directory, limited by control groups."""

import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ops import environment
from ops.console import Progress
from ops.errors import OperatorError
from ops.stack.availability import wait_for_mysql
from ops.stack.budget import divide_budget
from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import MySQLServer
from ops.system.cgroups import Consumption, ControlGroups, Limit
from ops.system.processes import usage

INSTANCES = 2


class HostStack:
    """The running processes of ./rinha up."""

    def __init__(self, directory: DataDirectory, workers: int, limits: Mapping[str, Limit]) -> None:
        state = directory.running()
        self._directory = directory
        self._state = state
        self._groups = ControlGroups(state.pid)
        self.limits = limits
        self.workers = workers
        self.versions = {"Python": platform.python_version()}
        self.kind = "./rinha up"

    def consumption(self) -> Mapping[str, Consumption]:
        """Return what each component has used."""
        if self.limits:
            return {name: self._groups.group(name).consumption() for name in self.limits}
        self._state = self._directory.last_state() or self._state  # a component may have been restarted
        used = {name: usage(component.pid) for name, component in self._state.components.items()}
        return {name: Consumption(one.cpu, one.memory, 0) for name, one in used.items()}

    def query(self, statement: str) -> str:
        """Return the result of a statement of MySQL's root: lines of columns that tabs separate."""
        wait_for_mysql(self._directory)
        completed = MySQLServer(self._directory).execute(statement, "-N")
        if completed.returncode:
            raise OperatorError(f"MySQL: {completed.stderr.strip()}")
        return completed.stdout


@contextmanager
def host_stack(
    port: int, workers: int, budget: tuple[float, int] | None, results: Path, progress: Progress
) -> Iterator[HostStack]:
    """Start a stack within a budget of CPUs and MB, or without limits, and stop it at the end of the context.

    If anything fails, the data directory of the stack stays in `results`. Raises OperatorError.
    """
    directory = DataDirectory(results / "stack")
    command = [sys.executable, "-P", "-m", "ops", "up", "--port", str(port), "--data", str(directory.path)]
    command += ["--instances", str(INSTANCES), "--workers", str(workers)]
    command += ["--cpus", str(budget[0]), "--memory", str(budget[1])] if budget else []
    progress("starting the stack")
    log = results / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            command,
            env=environment.of_commands(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while not ((state := directory.last_state()) and state.ready):
            if up.poll() is not None:
                raise OperatorError(f"the stack does not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield HostStack(directory, workers, divide_budget(budget[0], budget[1] << 20, INSTANCES) if budget else {})
    finally:
        up.terminate()
        up.wait()
    shutil.rmtree(directory.path)
