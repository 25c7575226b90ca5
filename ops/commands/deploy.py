"""Put the code as it is now into the running instances, one after the other."""

import argparse
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ops import ROOT
from ops.commands import options
from ops.console import Progress, show, show_progress
from ops.errors import OperatorError
from ops.stack.data_directory import DataDirectory, instance_names, worker_sockets
from ops.system.processes import end_with_parent, kill_group, started_at
from service.probe import is_serving

READY_TIMEOUT = 30.0  # seconds until an instance must serve: what it has to finish before, and its start
# What `up` hands to MySQL and nginx once, as it starts them.
AT_START = ("db/my.cnf", "db/schema.sql", "db/start.sql", "lb/nginx.conf")


class _Version:
    """What starts an instance, or asks one whether it is ready: the words and settings of one that runs."""

    def __init__(self, pid: int) -> None:
        self.command: Sequence[str]
        self.command, pairs = (
            os.fsdecode(Path(f"/proc/{pid}/{name}").read_bytes()).split("\0")[:-1] for name in ("cmdline", "environ")
        )
        self.settings: Mapping[str, str] = dict(pair.split("=", 1) for pair in pairs)

    def listening(self, socket: Path) -> dict[str, str]:
        """Return the settings of an instance with one worker, on a socket."""
        return {**self.settings, "LISTEN": f"unix:{socket}", "WORKERS": "1"}


add_arguments = options.add_stack


def run(arguments: argparse.Namespace) -> int:
    """Deploy, and say what changed but counts only after the next start."""
    late = deploy(options.data_directory(arguments), show_progress)
    show_progress("")
    show("the new version serves")
    if late:
        show(f"{', '.join(late)} changed too: that counts after ./rinha down and ./rinha up")
    return 0


def deploy(directory: DataDirectory, progress: Progress) -> list[str]:
    """Restart each instance of a running stack while the others serve; return which changes count only after `up`.

    The new version is first started beside them, on a socket that nobody asks. OperatorError tells of one
    that does not become ready there, and nothing was restarted; or of an instance that does not serve
    again, and those after it were left as they were.
    """
    directory.running()
    with directory.locked(
        "deploy.lock", f"another deployment is under way on {directory.path}; try again when it is over"
    ):
        state = directory.running()
        names = instance_names(state.instances)  # the components leave out what is about to be started again
        components = [state.components[name] for name in names if name in state.components]
        alive = [component.pid for component in components if started_at(component.pid) == component.started_at]
        if not alive:
            raise OperatorError(f"no instance runs just now; ./rinha up is starting them anew, see {directory.log}")
        version = _Version(alive[0])
        if version.settings.get("PYTHONPATH") != str(ROOT):
            raise OperatorError(f"this stack runs from {version.settings.get('PYTHONPATH')}; deploy it there")
        show_progress("trying the new version")
        _try(directory, version)
        sockets = {name: worker_sockets(directory.run, name, state.workers) for name in names}
        # One that does not serve comes first: it is not needed to serve while the others restart.
        order = sorted(names, key=lambda name: (all(map(_is_ready, sockets[name])), name))
        for place, name in enumerate(order):
            show_progress(f"restarting {name}")
            left = ", ".join(order[place + 1 :])
            failure = f"{name} does not serve with the new version{left and f', and {left} was left as it was'}"
            _restart(directory, name, lambda name=name: all(map(_is_ready, sockets[name])), failure)  # type: ignore[misc]
    return [name for name in AT_START if (ROOT / name).stat().st_mtime > state.since]


def _try(directory: DataDirectory, version: _Version) -> None:
    """Start an instance that has no clients, wait until it is ready, and end it."""
    socket, log = directory.run / "trial.sock", directory.log / "trial.log"
    with log.open("wb") as output:
        trial = subprocess.Popen(
            version.command, env=version.listening(socket), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, preexec_fn=end_with_parent,  # noqa: PLW1509 - this process has one thread
        )  # fmt: skip

    def is_ready() -> bool:
        if trial.poll() is not None:
            words = log.read_text(errors="replace").splitlines()[-1:]
            raise OperatorError(f"the new version does not start, and nothing was restarted: {''.join(words)}")
        return _is_ready(socket)

    try:
        _await(is_ready, f"the new version does not become ready, and nothing was restarted; see {log}")
    finally:
        trial.terminate()
        with suppress(subprocess.TimeoutExpired):
            trial.wait(READY_TIMEOUT)
        kill_group(trial.pid)
        trial.wait()


def _is_ready(socket: Path) -> bool:
    """Ask the worker on a socket, as a container's health check does."""
    return is_serving(f"unix:{socket}")


def _restart(directory: DataDirectory, name: str, is_ready: Callable[[], bool], failure: str) -> None:
    """End an instance, which `up` starts again, and wait until it is ready."""
    failure += f"; see {directory.log / name}.log"
    before = directory.running().components.get(name)
    first = None
    if before and started_at(before.pid) == before.started_at:
        os.kill(before.pid, signal.SIGTERM)

    def is_back() -> bool:
        nonlocal first
        now = directory.running().components.get(name)
        if now in (None, before):
            return False
        first = first or now
        if now != first:  # it has died, and `up` has started it once more
            raise OperatorError(failure)
        return is_ready()

    _await(is_back, failure)


def _await(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise OperatorError(failure)
        time.sleep(0.05)
