"""A data folder: where a stack keeps everything, and what is known of the one that runs on it."""

import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from ops import ROOT
from ops.errors import OperatorError
from ops.system.processes import started_at
from service.config import Config

SOCKET_PATH_LIMIT = 90  # bytes; the kernel's is 107 and the longest name of ours is short


class Part(NamedTuple):
    """A part of a running stack: the id of its process group, and when that process started."""

    pid: int
    started_at: int


class State(NamedTuple):
    """A running stack: its own process id, its port, since when (seconds since the epoch), its parts.

    There are so many API instances, each with so many workers.
    """

    pid: int
    port: int
    since: float
    ready: bool
    instances: int
    workers: int
    parts: dict[str, Part]


def instance_names(instances: int) -> list[str]:
    """Return the names of the API instances."""
    return [f"api{number}" for number in range(1, instances + 1)]


def worker_sockets(run: Path, instance: str, workers: int) -> list[Path]:
    """Return where the workers of an instance listen."""
    return [run / f"{instance}.{number}.sock" for number in range(1, workers + 1)]


class Folder:
    """The folder of one stack: MySQL's data, sockets, logs, state."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.log = self.path / "log"
        self._state = self.path / "state.json"

    @classmethod
    def chosen(cls, data: Path | None, port: int) -> "Folder":
        """Return the folder `data`, or the one that belongs to `port`: each port has its own."""
        return cls(data or ROOT / ".rinha" / str(port))

    @property
    def run(self) -> Path:
        """Return where the sockets are: in the folder, or elsewhere if its path is too long or too odd.

        Sockets have short names, and nginx's configuration gives signs such as ; and $ a meaning.
        """
        inside = self.path / "run"
        if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT and re.fullmatch(r"[\w./+-]+", str(inside), re.ASCII):
            return inside
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"rinha-{os.getuid()}-{name}"

    @property
    def mysql_socket(self) -> Path:
        """Return where MySQL listens."""
        return self.run / "mysql.sock"

    @property
    def password_file(self) -> Path:
        """Return the file with the password of the service's account."""
        return self.path / "db_password"

    def config(self, db_timeout: float = 1.0) -> Config:
        """Return the settings of a service on this stack's MySQL."""
        return Config(
            db_socket=str(self.mysql_socket), db_password=self.password_file.read_text(), db_timeout=db_timeout
        )

    def make(self) -> None:
        """Make the folders; only this user may enter, as MySQL's root needs no password on its socket."""
        for folder in (self.path, self.run, self.log):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.geteuid():
                raise OperatorError(f"{folder} belongs to another user")
        (self.run / "log").unlink(missing_ok=True)
        (self.run / "log").symlink_to(self.log)

    @contextmanager
    def locked(self, name: str = "lock", refusal: str = "") -> Iterator[None]:
        """Hold the folder for one stack, or for what else has a name; raise OperatorError if another holds it."""
        refusal = refusal or (
            f"a stack is running on {self.path} already; ./rinha status shows it, "
            "and another --port or --data starts a second one"
        )
        with (self.path / name).open("w") as lock:
            deadline = time.monotonic() + 1  # a command that looks whether it is locked holds it for a moment
            while not _lock(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise OperatorError(refusal)
                time.sleep(0.001)
            yield

    def is_locked(self) -> bool:
        """Tell whether a stack holds the folder now."""
        try:
            with (self.path / "lock").open() as lock:
                return not _lock(lock, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def write_state(self, state: State) -> None:
        """Keep `state` for the other commands, and for the next `up` should this one be killed."""
        temporary = self._state.with_suffix(".new")
        temporary.write_text(json.dumps(state._asdict()))
        temporary.rename(self._state)

    def last_state(self) -> State | None:
        """Return the state last written, whether or not that stack still runs."""
        try:
            known: dict[str, Any] = json.loads(self._state.read_text())
        except FileNotFoundError:
            return None
        return State(**{**known, "parts": {name: Part(*part) for name, part in known["parts"].items()}})

    def running(self) -> State:
        """Return the state of the stack that runs on this folder; raise OperatorError if none does."""
        state = self.last_state() if self.is_locked() else None
        if not state or not started_at(state.pid):  # what a killed one wrote, which the next clears up just now
            raise OperatorError(f"nothing is running on {self.path}; ./rinha up starts it")
        return state

    def forget_state(self) -> None:
        """Note that the stack has stopped in good order."""
        self._state.unlink(missing_ok=True)


def _lock(file: IO[str], kind: int) -> bool:
    """Lock a file without waiting; tell whether that worked."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
