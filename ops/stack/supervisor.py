"""./rinha up: MySQL, the API instances and nginx, started, kept running, stopped in order."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import ops.stack.mysql
import ops.stack.nginx
from ops import ROOT
from ops.console import say
from ops.errors import OperatorError
from ops.stack.component import AWAITED, STOP_TIMEOUT, Supervised
from ops.stack.data_directory import Folder, Part, State, instance_names, worker_sockets
from ops.system.cgroups import ControlGroups, Limit
from ops.system.ports import answers, check_port
from ops.system.processes import kill_group, members, started_at, usage


class _Stopped(Exception):
    """The operator has asked the stack to stop."""


class Stack:
    """Everything that runs on one data folder and one port."""

    def __init__(
        self, folder: Folder, port: int, instances: int, workers: int, limits: Mapping[str, Limit] | None = None
    ) -> None:
        self._folder = folder
        self._port = port
        self._instances = instances
        self._workers = workers
        self._limits = limits
        self._groups = ControlGroups(os.getpid()) if limits else None
        self._parts: list[Supervised] = []
        self._since = time.time()
        self._ready = False
        self._state_is_written = False

    def run(self, report: Callable[[str], None]) -> None:
        """Start, keep running until SIGTERM or SIGINT, stop; raise OperatorError if it cannot start."""
        signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
        try:
            self._start(report)
            report("")
            address = f"http://localhost:{self._port}"
            say(f"listening on {address}; Ctrl-C stops it, {self._folder.path} keeps the data")
            self._keep(report)
        except _Stopped:
            pass
        finally:
            report("stopping")
            # From the outside in: nobody is served by a part whose own servant is gone.
            for part in reversed(self._parts):
                part.stop(signal.SIGQUIT if part.name == "nginx" else signal.SIGTERM)
            if self._groups:
                self._groups.remove()
            self._folder.forget_state()
            report("")
        say("stopped")

    def _start(self, report: Callable[[str], None]) -> None:
        folder, run, log = self._folder, self._folder.run, self._folder.log
        _end_leftovers(folder)
        folder.forget_state()
        check_port(self._port)
        if self._groups and self._limits:
            self._groups.make(self._limits)
        database = ops.stack.mysql.Database.of(folder, report)
        database.forget_killed()
        nginx = ops.stack.nginx.find(report)
        _check_stop()
        database.initialise(report)
        report("starting MySQL")
        mysql = self._add("mysql", database.command(self._instances * self._workers))

        def is_starting() -> bool:
            _check_stop()
            return mysql.is_alive()

        database.prepare(is_starting, report)
        self._add("reserve", database.reserve_command())
        instances = instance_names(self._instances)
        for instance in instances:
            environment = {
                "PYTHONPATH": str(ROOT),
                "LISTEN": f"unix:{run}/{instance}.%.sock",
                "WORKERS": str(self._workers),
                "DB_SOCKET": str(database.socket),
                "DB_PASSWORD_FILE": str(database.password_file),
            }
            self._add(instance, [sys.executable, "-P", "-m", "service"], environment)
        sockets = [worker_sockets(run, instance, self._workers) for instance in instances]
        configuration = ops.stack.nginx.write_configuration(run / "nginx", self._port, sockets, run / "log")
        self._add("nginx", ops.stack.nginx.command(nginx, configuration, run))
        report("waiting for the API")
        deadline = time.monotonic() + 30
        while not answers(self._port):
            _check_stop()
            self._keep_once()
            if time.monotonic() > deadline:
                raise OperatorError(f"the service does not answer on port {self._port}; see {log}")
            time.sleep(0.05)
        if self._groups:
            self._groups.join("up")
        self._ready = True
        self._write_state()

    def _add(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Supervised:
        group = "mysql" if name == "reserve" else name  # as in the container
        part = Supervised(
            name,
            command,
            environment or {},
            None if name == "reserve" else self._folder.log / f"{name}.log",
            partial(self._groups.join, group) if self._groups else lambda: None,
        )
        part.start()
        self._parts.append(part)
        self._write_state()
        return part

    def _keep(self, report: Callable[[str], None]) -> None:
        while True:
            _check_stop(wait=1.0)
            self._keep_once()
            if sys.stdout.isatty():
                report(self._line())

    def _keep_once(self) -> None:
        if any([part.keep() for part in self._parts]):  # noqa: C419 - each must be looked after
            self._state_is_written = False
        if not self._state_is_written:
            with contextlib.suppress(OSError):  # a full disk must not end what runs on it
                self._write_state()

    def _line(self) -> str:
        used = [f"{part.name} {usage(part.process.pid).memory >> 20} MB" for part in self._parts if part.process]
        restarts = sum(part.restarts for part in self._parts)
        return f"up {time.time() - self._since:.0f} s, {', '.join(used)}, {restarts} restarts"

    def _write_state(self) -> None:
        parts = {
            part.name: Part(part.process.pid, started_at(part.process.pid)) for part in self._parts if part.process
        }
        self._folder.write_state(
            State(os.getpid(), self._port, self._since, self._ready, self._instances, self._workers, parts)
        )
        self._state_is_written = True


def _check_stop(wait: float = 0.0) -> None:
    """Raise _Stopped if the operator asks to stop within `wait` seconds; return at once when a part ends."""
    arrived = signal.sigtimedwait(AWAITED, wait)
    if arrived and arrived.si_signo == signal.SIGHUP:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the terminal is gone, and so is whom to tell
    if arrived and arrived.si_signo != signal.SIGCHLD:
        raise _Stopped


def _end_leftovers(folder: Folder) -> None:
    """Wait for what a killed `up` left behind: its parts end by themselves, or are killed."""
    state = folder.last_state()
    deadline = time.monotonic() + STOP_TIMEOUT
    for part in state.parts.values() if state else ():
        if started_at(part.pid) not in (0, part.started_at):
            continue  # another process has the id now
        while members(part.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        kill_group(part.pid)
