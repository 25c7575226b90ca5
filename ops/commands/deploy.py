"""Restart the API instances one at a time, with the current code and without a failed request."""

import argparse
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from ops import ROOT
from ops.commands import options
from ops.console import Progress, show, show_progress
from ops.errors import OperatorError
from ops.polling import wait_until
from ops.stack.availability import reason_for_silence, wait_for_mysql
from ops.stack.data_directory import DataDirectory, State, instance_names, worker_sockets
from ops.stack.rolling_restart import restart_members
from ops.system.processes import ask_to_end, end_with_parent, is_stopped, kill_group, started_at
from service.probe import is_serving

READY_TIMEOUT = 30.0  # seconds in which an instance ends, starts again and becomes ready
# By MySQL, nginx and the scripts beside MySQL.
READ_AT_START = (
    *("db/my.cnf", "db/schema.sql", "db/start.sql", "db/upgrade.sh", "db/reserve.sh", "db/group.sh", "db/primary.sh"),
    "lb/nginx.conf",
)


class _InstanceProcess:
    """The command line and the environment of a running instance."""

    def __init__(self, pid: int) -> None:
        self.command: Sequence[str]
        self.command, variables = (
            os.fsdecode(Path(f"/proc/{pid}/{name}").read_bytes()).split("\0")[:-1] for name in ("cmdline", "environ")
        )
        self.environment: Mapping[str, str] = dict(variable.split("=", 1) for variable in variables)

    def environment_for(self, directory: DataDirectory, socket: Path) -> dict[str, str]:
        """Return the environment of an instance of the same stack with one worker, which listens on `socket`."""
        sockets = {"LISTEN": f"unix:{socket}", "DB_SOCKET": str(directory.mysql_socket)}
        # Without metrics: their address is that of the running instance.
        return {**self.environment, **sockets, "WORKERS": "1", "METRICS_LISTEN": ""}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the stack, and what is restarted."""
    options.add_stack(parser)
    parser.add_argument(
        "--members", action="store_true", help="restart the members of the MySQL group too, one at a time"
    )


def run(arguments: argparse.Namespace) -> int:
    """Deploy, and name the changed files that take effect only at the next start."""
    directory = options.data_directory(arguments)
    pending = deploy(directory, show_progress)
    if arguments.members:
        restart_members(directory, show_progress)
        pending = [name for name in pending if not name.startswith("db/")]
    show_progress("")
    show("the new version serves")
    if pending:
        show(f"{', '.join(pending)} changed too; ./rinha down and ./rinha up put the change into effect")
    return 0


def deploy(directory: DataDirectory, progress: Progress) -> list[str]:
    """Restart the instances of a running stack; return the changed files that MySQL and nginx read only at a start.

    1. Starts one worker of the new version on a socket that receives no traffic. If the worker does not become ready,
       raises OperatorError; no instance has been restarted.
    2. Restarts the instances one at a time, and waits until each serves. If one does not, raises OperatorError; the
       remaining instances keep the old version.
    """
    directory.running()
    with directory.locked(
        "deploy.lock", f"another ./rinha deploy is running on {directory.path}; try again when it has ended"
    ):
        _require_mysql(directory, progress, "nothing was restarted")
        state = directory.running()
        if is_stopped(state.pid):
            failure = f"./rinha up is stopped and restarts nothing; fg or kill -CONT {state.pid} continues it"
            raise OperatorError(failure)
        progress("trying the new version")
        _try_new_version(directory, _running_instance(directory, state))
        sockets = {name: worker_sockets(directory.run, name, state.workers) for name in instance_names(state.instances)}
        # An instance that does not serve comes first: the stack can do without it while the other instances restart.
        order = sorted(sockets, key=lambda name: (_are_ready(sockets[name]), name))
        for index, name in enumerate(order):
            remaining = order[index + 1 :]
            _require_mysql(directory, progress, f"{', '.join(order[index:])} still to be restarted")
            progress(f"restarting {name}")
            failure = f"{name} does not serve with the new version"
            if remaining:
                failure += f", and {', '.join(remaining)} {'keeps' if len(remaining) == 1 else 'keep'} the old version"
            _restart(directory, name, partial(_are_ready, sockets[name]), failure)
    return [name for name in READ_AT_START if (ROOT / name).stat().st_mtime > state.since]


def _running_instance(directory: DataDirectory, state: State) -> _InstanceProcess:
    """Return an instance that runs from this checkout; raise OperatorError if there is none."""
    # The state has no component that waits to be started again.
    components = [state.components[name] for name in instance_names(state.instances) if name in state.components]
    alive = [component.pid for component in components if started_at(component.pid) == component.started_at]
    if not alive:
        raise OperatorError(f"no API instance is running, ./rinha up is restarting them; see {directory.log}")
    instance = _InstanceProcess(alive[0])
    checkout = instance.environment.get("PYTHONPATH")
    if not checkout or not _is_this_checkout(Path(checkout)):
        raise OperatorError(f"the stack on {directory.path} runs from {checkout}; run ./rinha deploy there")
    return instance


def _is_this_checkout(path: Path) -> bool:
    """Return whether a path, which may have links, leads to the checkout of this command."""
    return path.exists() and path.samefile(ROOT)


def _try_new_version(directory: DataDirectory, instance: _InstanceProcess) -> None:
    """Start a worker that receives no traffic, wait until it is ready, and end it; raise OperatorError."""
    socket, log = directory.run / "trial.sock", directory.log / "trial.log"
    with log.open("wb") as output:
        trial = subprocess.Popen(
            instance.command,
            env=instance.environment_for(directory, socket),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=directory.inherited,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - this process has one thread
        )

    def is_ready() -> bool:
        if trial.poll() is not None:
            reason = "".join(log.read_text(errors="replace").splitlines()[-1:])
            raise OperatorError(f"the new version does not start, and nothing was restarted: {reason}; see {log}")
        return _are_ready([socket])

    try:
        failure = f"the new version does not become ready, and nothing was restarted; see {log}"
        _wait_until_ready(directory, is_ready, failure)
    finally:
        trial.terminate()
        with suppress(subprocess.TimeoutExpired):
            trial.wait(READY_TIMEOUT)
        kill_group(trial.pid)
        trial.wait()


def _are_ready(sockets: Iterable[Path]) -> bool:
    """Return whether the workers on all of these sockets are ready."""
    return all(is_serving(f"unix:{socket}") for socket in sockets)


def _restart(directory: DataDirectory, name: str, is_ready: Callable[[], bool], failure: str) -> None:
    """End an instance, which `up` starts again, and wait until it is ready; raise OperatorError with `failure`."""
    failure += f"; see {directory.log / name}.log"
    old = directory.running().components.get(name)
    successor = None
    if old and started_at(old.pid) == old.started_at:
        ask_to_end(old.pid)

    def is_back() -> bool:
        nonlocal successor
        current = directory.running().components.get(name)
        if current in (None, old):
            return False
        successor = successor or current
        if current != successor:  # the successor has died, and `up` has started another
            raise OperatorError(failure)
        return is_ready()

    _wait_until_ready(directory, is_back, failure)


def _require_mysql(directory: DataDirectory, progress: Progress, consequence: str) -> None:
    """Wait for a MySQL that restarts, without which no instance becomes ready; raise OperatorError."""
    try:
        wait_for_mysql(directory, progress, READY_TIMEOUT)
    except OperatorError as error:
        raise OperatorError(f"{error}; {consequence}") from None


def _wait_until_ready(directory: DataDirectory, is_ready: Callable[[], bool], failure: str) -> None:
    """Wait until a condition is true; raise OperatorError with `failure`, and say so if MySQL does not answer."""
    try:
        wait_until(is_ready, failure, READY_TIMEOUT)
    except OperatorError as error:
        if reason := reason_for_silence(directory):
            raise OperatorError(f"{error}. MySQL does not answer either: {reason}") from None
        raise
