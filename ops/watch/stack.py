"""All numbers of a stack at one moment."""

import shutil
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from ops.errors import OperatorError
from ops.stack.data_directory import DataDirectory, State
from ops.stack.members import Member
from ops.stack.nginx import ACCESS_LOG
from ops.watch.components import ComponentNumbers, ComponentsWatch
from ops.watch.database import DatabaseNumbers, DatabaseWatch
from ops.watch.follow import Follower
from ops.watch.members import MembersWatch
from ops.watch.requests import KindNumbers, RequestStatistics

LOG_ROOM = 1 << 20  # bytes of free disk below which nginx may be unable to write the access log


class Snapshot(NamedTuple):
    """A stack at one moment. A stack that does not run has no components; its requests stay.

    If the log has no room on its disk, `requests` lacks requests.
    """

    time: float
    port: int
    running: bool
    ready: bool
    uptime: float
    watched: float
    log_has_room: bool
    requests: dict[str, KindNumbers]
    components: dict[str, ComponentNumbers]
    database: DatabaseNumbers
    members: Sequence[Member] = ()

    def document(self) -> dict[str, Any]:
        """Return the snapshot as one JSON document."""
        return {
            **self._asdict(),
            "requests": {
                kind: {**numbers._asdict(), "errors": numbers.errors} for kind, numbers in self.requests.items()
            },
            "components": {name: numbers._asdict() for name, numbers in self.components.items()},
            "database": self.database._asdict(),
            "members": [member.document() for member in self.members],
        }


class StackWatch:
    """Looks at the stack of a data directory again and again, also while it stops and starts."""

    def __init__(self, directory: DataDirectory, port: int, slow: int) -> None:
        """Watch from now on. A request of `slow` milliseconds or more counts as slow."""
        self._directory = directory
        self._port = port
        self._started = time.monotonic()
        self._log = Follower(directory.log / ACCESS_LOG)
        self._requests = RequestStatistics(self._started, slow)
        self._components = ComponentsWatch()
        self.database = DatabaseWatch()
        self.members = MembersWatch(directory)

    def look(self, interval: float) -> Snapshot:
        """Return the snapshot of now; looks are `interval` seconds apart."""
        state = self._state()
        self.database.ask_on([member.mysql_socket for member in self._directory.members] if state else [])
        now = time.monotonic()
        self._requests.add(self._log.read(), now)
        if not state:
            self._components.forget()
        return Snapshot(
            time=round(time.time(), 3),
            port=state.port if state else self._port,
            running=bool(state),
            ready=bool(state and state.ready),
            uptime=round(time.time() - state.since, 1) if state else 0.0,
            watched=round(now - self._started, 1),
            log_has_room=self._log_has_room(),
            requests=self._requests.numbers(now),
            components=self._components.look(state) if state else {},
            database=self.database.numbers(interval),
            members=self.members.members if state else (),
        )

    def close(self) -> None:
        """Close what is open."""
        self._log.close()
        self.database.close()

    def _log_has_room(self) -> bool:
        try:
            return shutil.disk_usage(self._directory.path).free >= LOG_ROOM
        except FileNotFoundError:  # there is no data directory yet
            return True

    def _state(self) -> State | None:
        try:
            return self._directory.running()
        except OperatorError:
            return None
