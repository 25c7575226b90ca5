"""A proxy between the service and MySQL that breaks what it is told to break."""

import contextlib
import enum
import socket
import threading
from pathlib import Path


class Fault(enum.Enum):
    """What happens to a connection, or to a statement on its way."""

    CONNECTION_CUT = "the connection is accepted and cut before MySQL's greeting"
    GREETING_STALLED = "the connection is accepted, and MySQL's greeting never comes"
    GREETING_HALVED = "half of MySQL's greeting comes, then the connection is cut"
    LOGIN_LOST = "MySQL takes the password, and the connection is cut before it says so"
    REQUEST_LOST = "the connection is cut before MySQL has seen the statement"
    REQUEST_HALVED = "MySQL sees half of the statement, then the connection is cut"
    REQUEST_STALLED = "MySQL never sees the statement, and nothing is cut"
    REPLY_LOST = "MySQL executes the statement, and the connection is cut before its reply"
    REPLY_HALVED = "MySQL executes the statement, and the connection is cut in the middle of its reply"
    REPLY_STALLED = "MySQL executes the statement, and its reply never comes"


CONNECTION_FAULTS = [fault for fault in Fault if fault.name.startswith(("CONNECTION", "GREETING", "LOGIN"))]
STATEMENT_FAULTS = [fault for fault in Fault if fault not in CONNECTION_FAULTS]


class FaultProxy:
    """Listens on a unix socket and passes everything on to MySQL's, but for the faults it is told of.

    A fault in `queue` is spent on the next statement that contains its marker, one in `connections`
    on the next connection.
    """

    def __init__(self, path: Path, mysql: str) -> None:
        self.path = path
        self.queue: list[tuple[bytes, Fault]] = []
        self.connections: list[Fault] = []
        self._mysql = mysql
        self._open: list[socket.socket] = []
        self._all: list[socket.socket] = []
        self._listen()

    def break_next(self, *faults: Fault, marker: bytes = b"INSERT") -> None:
        """Spend each fault on a statement, or on a connection, whichever it is made for."""
        self.queue = [(marker, fault) for fault in faults if fault in STATEMENT_FAULTS]
        self.connections = [fault for fault in faults if fault in CONNECTION_FAULTS]

    def go_away(self) -> None:
        """Cut every connection and refuse new ones, as MySQL does that is down."""
        self.path.unlink()
        self.cut()

    def come_back(self) -> None:
        self._listening.close()
        self._listen()

    def cut(self) -> None:
        self._shut(*self._open)
        self._open.clear()

    def close(self) -> None:
        self._listening.close()
        for connection in self._all:
            self._shut(connection)
            connection.close()

    def _listen(self) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

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
            fault = self.connections.pop(0) if self.connections else None
            if fault is Fault.CONNECTION_CUT:
                self._shut(client)
            elif fault is not Fault.GREETING_STALLED:
                server.connect(self._mysql)
                _Connection(self, client, server, fault)

    def fault(self, data: bytes) -> Fault | None:
        """Return the fault of a statement, which is spent by that."""
        if self.queue and self.queue[0][0] in data:
            return self.queue.pop(0)[1]
        return None

    def _shut(self, *connections: socket.socket) -> None:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Connection:
    """Two threads that pass on what client and server say, until a fault."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, server: socket.socket, fault: Fault | None) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._fault = fault  # of what the server says next
        self._logged_in = fault is not Fault.LOGIN_LOST
        for pass_on in (self._requests, self._replies):
            threading.Thread(target=pass_on, daemon=True).start()

    def _requests(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._client.recv(65536):
                self._logged_in = True
                fault = self._proxy.fault(data)
                if fault is Fault.REQUEST_HALVED:
                    self._server.sendall(data[: len(data) // 2])
                elif fault in (Fault.REPLY_LOST, Fault.REPLY_HALVED, Fault.REPLY_STALLED):
                    self._fault = fault
                    self._server.sendall(data)
                elif fault is not Fault.REQUEST_LOST and fault is not Fault.REQUEST_STALLED:
                    self._server.sendall(data)
                if fault in (Fault.REQUEST_LOST, Fault.REQUEST_HALVED):
                    break
        self._proxy._shut(self._client, self._server)

    def _replies(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._server.recv(65536):
                if self._fault is None or not self._logged_in:
                    self._client.sendall(data)
                    continue
                if self._fault in (Fault.GREETING_HALVED, Fault.REPLY_HALVED):
                    self._client.sendall(data[: len(data) // 2])
                if self._fault is not Fault.REPLY_STALLED:
                    break
        self._proxy._shut(self._client, self._server)
