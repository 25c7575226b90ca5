"""The data directory of a stack: its files, its lock, and the state of the stack that runs on it."""

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

from ops import ROOT
from ops.errors import OperatorError
from ops.system.processes import started_at
from service.config import MAX_SOCKET_PATH, Config

MAX_PATH = MAX_SOCKET_PATH - len("/run/api64.metrics.sock")  # bytes


class RunningComponent(NamedTuple):
    """The process that leads a component's process group.

    `started_at` is when the process started (processes.started_at). `restarts` counts the component's restarts.
    """

    pid: int
    started_at: int
    restarts: int = 0


class State(NamedTuple):
    """A running stack: process id of `up`, port, start time in seconds since the epoch, size, and components.

    `instances` counts the API instances and `workers` the workers of each.
    """

    pid: int
    port: int
    since: float
    ready: bool
    instances: int
    workers: int
    components: dict[str, RunningComponent]


def instance_names(instances: int) -> list[str]:
    """Return the names of the API instances."""
    return [f"api{number}" for number in range(1, instances + 1)]


def worker_sockets(run: Path, instance: str, workers: int) -> list[Path]:
    """Return the paths of the sockets on which the workers of an instance listen."""
    return [run / f"{instance}.{number}.sock" for number in range(1, workers + 1)]


def metrics_socket(run: Path, instance: str) -> Path:
    """Return the path of the socket on which an instance answers its metrics."""
    return run / f"{instance}.metrics.sock"


class DataDirectory:
    """The directory of one stack, with MySQL's data, sockets, logs and the state.

    The further members of a MySQL group have directories of this form within that of the stack.

    A program whose command line or settings have a path below `reachable` must inherit the open files `inherited`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.log = self.path / "log"
        self.inherited: tuple[int, ...] = ()
        self._state = self.path / "state.json"
        self._members = self.path / "members"

    @classmethod
    def chosen(cls, path: Path | None, port: int) -> "DataDirectory":
        """Return the data directory at `path`, or the default one of `port`."""
        return cls(path or ROOT / ".rinha" / str(port))

    @cached_property
    def reachable(self) -> Path:
        """The data directory by a path that is short enough for sockets, of characters that no program interprets.

        That is its own path, or else the kernel's name of an open file; raises OSError if there is no such directory.
        nginx's configuration gives characters such as ; and $ a meaning, MySQL's lists of directories the colon.
        """
        if len(os.fsencode(self.path)) <= MAX_PATH and re.fullmatch(r"[\w./+-]+", str(self.path), re.ASCII):
            return self.path
        file = os.open(self.path, os.O_PATH | os.O_DIRECTORY)
        os.set_inheritable(file, True)  # for `sql`, whose process becomes the mysql client
        self.inherited = (file,)
        return Path(f"/proc/self/fd/{file}")

    @property
    def run(self) -> Path:
        """The directory for sockets and nginx's files."""
        return self.reachable / "run"

    @property
    def temporary(self) -> Path:
        """The directory for MySQL's temporary files, which may be as large as a table."""
        return self.reachable / "tmp"

    @property
    def mysql_socket(self) -> Path:
        """The socket on which MySQL listens."""
        return self.run / "mysql.sock"

    @property
    def password_file(self) -> Path:
        """The file with the password of the service's account."""
        return self.path / "db_password"

    @property
    def members(self) -> "list[DataDirectory]":
        """The data directories of all members of a MySQL group, this one first; without a group, this one alone."""
        count = int(self._members.read_text()) if self._members.exists() else 1
        others = [DataDirectory(self.reachable / f"member{number}") for number in range(2, count + 1)]
        for other in others:
            other.log = self.log  # one directory has all logs, so one limit applies to all of them
            other.inherited = self.inherited
            # Short enough for sockets: /member9/run/mysql.sock is as long as the name in MAX_PATH.
            other.reachable = other.path
        return [self, *others]

    def set_members(self, count: int) -> None:
        """Remember the number of members of the MySQL group."""
        temporary = self._members.with_suffix(".new")
        temporary.write_text(str(count))
        temporary.rename(self._members)

    @property
    def database_settings(self) -> dict[str, Any]:
        """The settings that tell an instance where MySQL is: the socket of the only server, or of each member."""
        first, *others = (str(member.mysql_socket) for member in self.members)
        return {"db_hosts": ",".join([first, *others])} if others else {"db_socket": first}

    def config(self, db_timeout: float = 1.0) -> Config:
        """Return the settings of a service that uses this stack's MySQL; raise OSError without a password file."""
        return Config(db_password=self.password_file.read_text(), db_timeout=db_timeout, **self.database_settings)

    def make(self) -> None:
        """Make the directories. Only this user may enter: MySQL's root needs no password on the socket."""
        for directory in (self.path, self.path / "run", self.log, self.path / "tmp"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if directory.stat().st_uid != os.geteuid():
                raise OperatorError(f"{directory} belongs to another user")

    @contextmanager
    def locked(self, name: str = "lock", refusal: str = "") -> Iterator[None]:
        """Hold the lock of this name; raise OperatorError with `refusal` if another process holds it."""
        refusal = refusal or (
            f"a stack is running on {self.path} already; ./rinha status shows it, "
            "and another --port or --data starts a second one"
        )
        with (self.path / name).open("w") as lock:
            deadline = time.monotonic() + 1  # `is_locked` in another process holds the lock for a moment
            while not _try_lock(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise OperatorError(refusal)
                time.sleep(0.001)
            yield

    def is_locked(self) -> bool:
        """Return whether a stack runs on the data directory."""
        try:
            with (self.path / "lock").open() as lock:
                return not _try_lock(lock, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def write_state(self, state: State) -> None:
        """Store `state` for the other commands, and for the next `up` if this one is killed."""
        temporary = self._state.with_suffix(".new")
        temporary.write_text(json.dumps(state._asdict()))
        temporary.rename(self._state)

    def last_state(self) -> State | None:
        """Return the state last written, whether or not that stack still runs."""
        try:
            state: dict[str, Any] = json.loads(self._state.read_text())
            components = {name: RunningComponent(*one) for name, one in state["components"].items()}
            return State(**{**state, "components": components})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, LookupError, AttributeError):  # a power failure may leave an empty file
            return None

    def running(self) -> State:
        """Return the state of the running stack; raise OperatorError if none runs."""
        state = self.last_state() if self.is_locked() else None
        if not state or not started_at(state.pid):  # a killed stack wrote it, and the next `up` is removing it
            raise OperatorError(f"nothing is running on {self.path}; ./rinha up starts it")
        return state

    def remove_state(self) -> None:
        """Remove the state of a stack that has stopped."""
        self._state.unlink(missing_ok=True)


def _try_lock(file: IO[str], kind: int) -> bool:
    """Lock a file without waiting; return whether that succeeded."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
