"""./rinha up: MySQL, the API instances and nginx, started, kept running, stopped in order."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import db.server
import lb.server
from ops.folder import ROOT, Folder, OperatorError, Part, State
from ops.limits import ControlGroups, Limit
from ops.processes import end_with_parent, kill_group, members, started_at, usage

STABLE = 10.0  # seconds after which a part's death is an accident, not a failure to start
LONGEST_PAUSE = 10.0  # seconds between two tries to start a part that does not stay up
STOP_TIMEOUT = 30.0  # seconds a part has to end after SIGTERM; MySQL writes its buffers back
RESERVE = 256 << 20  # bytes of disk that people do not get: MySQL's full-text cache, written out, is a third of it
_AWAITED = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP}


class _Stopped(Exception):
    """The operator has asked the stack to stop."""


class _Supervised:
    """A part of the stack: a process in a group of its own, started again whenever it dies."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        groups: ControlGroups | None,
    ) -> None:
        self.name = name
        self._groups = groups
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self._command = command
        self._environment = environment
        self._log = log
        self._pause = 0.0
        self._start_after = 0.0
        self._started = 0.0

    def start(self) -> None:
        """Start the process."""
        with (self._log / f"{self.name}.log").open("ab") as output:
            self.process = subprocess.Popen(
                self._command,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in the terminal is for us alone: we stop the parts in order
                preexec_fn=self._prepare,  # noqa: PLW1509 - this process has one thread
            )
        self._started = time.monotonic()

    def _prepare(self) -> None:
        end_with_parent()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        if self._groups:
            self._groups.join(self.name)

    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def keep(self) -> bool:
        """Start the process again if it has died and its pause is over; tell whether it was started."""
        if self.process and self.process.poll() is not None:
            kill_group(self.process.pid)  # nginx's workers outlive a killed master, and hold its port
            lived = time.monotonic() - self._started
            self._pause = 0.1 if lived > STABLE else min(max(self._pause * 2, 0.1), LONGEST_PAUSE)
            self._start_after = time.monotonic() + self._pause
            ending = _ending(self.process.returncode)
            ended = "died" if self.process.returncode else "ended"
            _say(f"rinha: {self.name} {ended} ({ending}); starting it again in {self._pause:.1f} s")
            self.process = None
        if self.process or time.monotonic() < self._start_after:
            return False
        self.start()
        self.restarts += 1
        return True

    def stop(self, number: signal.Signals) -> None:
        """Stop the process by a signal, by SIGKILL if it does not heed it in time."""
        if not self.process:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            _say(f"rinha: {self.name} did not stop in {STOP_TIMEOUT:.0f} s and was killed")
        kill_group(self.process.pid)
        self.process.wait()


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
        self._parts: list[_Supervised] = []
        self._database: db.server.Database | None = None
        self._index_is_suspect = False
        self._rebuild: subprocess.Popen[bytes] | None = None
        self._since = time.time()
        self._ready = False
        self._state_is_written = False

    def run(self, report: Callable[[str], None]) -> None:
        """Start, keep running until SIGTERM or SIGINT, stop; raise OperatorError if it cannot start."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        try:
            self._start(report)
            report("")
            address = f"http://localhost:{self._port}"
            _say(f"rinha: listening on {address}; Ctrl-C stops it, {self._folder.path} keeps the data")
            self._keep(report)
        except _Stopped:
            self._spare_disk()
        finally:
            report("stopping")
            # From the outside in: nobody is served by a part whose own servant is gone.
            for part in reversed(self._parts):
                part.stop(signal.SIGQUIT if part.name == "nginx" else signal.SIGTERM)
            if self._groups:
                self._groups.remove()
            self._folder.forget_state()
            report("")
        _say("rinha: stopped")

    def _start(self, report: Callable[[str], None]) -> None:
        folder, run, log = self._folder, self._folder.run, self._folder.log
        _end_leftovers(folder)
        folder.forget_state()
        check_port(self._port)
        if self._groups and self._limits:
            self._groups.make(self._limits)
        database = self._database = db.server.Database.of(folder, report)
        database.forget_killed()
        nginx = lb.server.find(report)
        _check_stop()
        database.initialise(report)
        report("starting MySQL")
        mysql = self._add("mysql", database.command(self._instances * self._workers), {})

        def is_starting() -> bool:
            _check_stop()
            return mysql.is_alive()

        database.prepare(is_starting, report)
        instances = [f"api{number}" for number in range(1, self._instances + 1)]
        for instance in instances:
            environment = {
                "PYTHONPATH": str(ROOT),
                "LISTEN": f"unix:{run}/{instance}.%.sock",
                "WORKERS": str(self._workers),
                "DB_SOCKET": str(database.socket),
                "DB_PASSWORD_FILE": str(database.password_file),
            }
            self._add(instance, [sys.executable, "-P", "-m", "service"], environment)
        configuration = run / "nginx.conf"
        sockets = [
            [run / f"{instance}.{number}.sock" for number in range(1, self._workers + 1)] for instance in instances
        ]
        configuration.write_text(lb.server.render(self._port, sockets, run))
        self._add("nginx", lb.server.command(nginx, configuration), {})
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

    def _add(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> _Supervised:
        part = _Supervised(name, command, environment, self._folder.log, self._groups)
        part.start()
        self._parts.append(part)
        self._write_state()
        return part

    def _keep(self, report: Callable[[str], None]) -> None:
        while True:
            _check_stop(wait=1.0)
            self._keep_once()
            self._spare_disk()
            if sys.stdout.isatty():
                report(self._line())

    def _keep_once(self) -> None:
        if any([part.keep() for part in self._parts]):  # noqa: C419 - each must be looked after
            self._state_is_written = False
        if not self._state_is_written:
            with contextlib.suppress(OSError):  # a full disk must not end what runs on it
                self._write_state()

    def _spare_disk(self) -> None:
        """Let nobody be stored while the disk is nearly full; then make the full-text index anew.

        A write of InnoDB's full-text cache that fails is taken for done by the next one, and search
        would never again find the people in it.
        """
        free, mark = shutil.disk_usage(self._folder.path).free, self._folder.path / "index.suspect"
        if not self._database or (self._rebuild and self._rebuild.poll() is None):
            return
        if free < RESERVE:
            if not self._index_is_suspect:
                _say("rinha: less than 256 MB are left on the disk; nobody is stored until there is more")
            self._index_is_suspect, self._rebuild = True, None
            with contextlib.suppress(OSError):
                mark.touch()  # should this process be killed
            self._database.refuse_writes()  # each time, as it may have been restarted
        elif self._rebuild and self._rebuild.returncode == 0:
            _say("rinha: there is room on the disk again, and the full-text index is whole")
            self._index_is_suspect = False
            mark.unlink(missing_ok=True)
            self._rebuild = None
        elif (self._index_is_suspect or mark.exists()) and free > RESERVE * 9 // 8:
            self._rebuild = self._database.start_rebuild()

    def _line(self) -> str:
        used = [f"{part.name} {usage(part.process.pid).memory >> 20} MB" for part in self._parts if part.process]
        restarts = sum(part.restarts for part in self._parts)
        return f"up {time.time() - self._since:.0f} s, {', '.join(used)}, {restarts} restarts"

    def _write_state(self) -> None:
        parts = {
            part.name: Part(part.process.pid, started_at(part.process.pid)) for part in self._parts if part.process
        }
        self._folder.write_state(State(os.getpid(), self._port, self._since, self._ready, parts))
        self._state_is_written = True


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # whoever read it may be gone
        print(line, flush=True)


def _check_stop(wait: float = 0.0) -> None:
    """Raise _Stopped if the operator asks to stop within `wait` seconds; return at once when a part ends."""
    arrived = signal.sigtimedwait(_AWAITED, wait)
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


def check_port(port: int) -> None:
    """Raise OperatorError if a port cannot be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - as nginx will
        except PermissionError:
            raise OperatorError(f"port {port} is for root only; give one above 1023, as --port 9999") from None
        except OSError:
            raise OperatorError(
                f"port {port} is taken; stop what holds it (ss -ltnp shows it) or give another one, "
                f"as --port {port - 1}"
            ) from None


def answers(port: int) -> bool:
    """Tell whether the whole way to the database is open."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/contagem-pessoas")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _ending(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit status {returncode}"
