"""A proxy between the service and MySQL that breaks what it is told to break."""

import contextlib
import enum
import socket
import threading
from pathlib import Path


class Fault(enum.Enum):
    """What happens to a statement on its way."""

    REQUEST_LOST = "the connection is cut before MySQL has seen the statement"
    REQUEST_HALVED = "MySQL sees half of the statement, then the connection is cut"
    REPLY_LOST = "MySQL executes the statement, and the connection is cut before its reply"
    REPLY_STALLED = "MySQL executes the statement, and its reply never comes"


class FaultProxy:
    """Listens on a unix socket and passes everything on to MySQL's, but for the faults in `queue`.

    A fault is spent on the next statement that contains its marker.
    """

    def __init__(self, path: Path, mysql: str) -> None:
        self.path = path
        self.queue: list[tuple[bytes, Fault]] = []
        self.stalls_connections = False
        self._mysql = mysql
        self._open: list[socket.socket] = []
        self._all: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def break_next(self, *faults: Fault, marker: bytes = b"INSERT") -> None:
        self.queue = [(marker, fault) for fault in faults]

    def go_away(self) -> None:
        """Cut every connection and refuse new ones, as MySQL does that is down."""
        self.path.unlink()
        self.cut()

    def come_back(self) -> None:
        self._listening.close()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        self._listening.close()
        for connection in self._all:
            self._close(connection)
            connection.close()

    def _accept(self) -> None:
        listening = self._listening
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            self._open += [client, server]
            self._all += [client, server]
            if self.stalls_connections:
                continue
            server.connect(self._mysql)
            events = threading.Event(), threading.Event()
            for pass_on in (self._requests, self._replies):
                threading.Thread(target=pass_on, args=(client, server, *events), daemon=True).start()

    def _requests(
        self, client: socket.socket, server: socket.socket, silent: threading.Event, executed: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                fault = self._fault(data)
                if fault in (Fault.REPLY_LOST, Fault.REPLY_STALLED):
                    silent.set()
                if fault is Fault.REQUEST_HALVED:
                    server.sendall(data[: len(data) // 2])
                elif fault is not Fault.REQUEST_LOST:
                    server.sendall(data)
                if fault is Fault.REPLY_LOST:
                    executed.wait(5)
                if fault and fault is not Fault.REPLY_STALLED:
                    break
        self._close(client, server)

    def _replies(
        self, client: socket.socket, server: socket.socket, silent: threading.Event, executed: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if silent.is_set():
                    executed.set()
                else:
                    client.sendall(data)
        if not silent.is_set():
            self._close(client, server)

    def _fault(self, data: bytes) -> Fault | None:
        if self.queue and self.queue[0][0] in data:
            return self.queue.pop(0)[1]
        return None

    def _close(self, *connections: socket.socket) -> None:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
