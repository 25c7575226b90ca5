"""A proxy between the service and MySQL that breaks connections and statements as it is told."""

import contextlib
import dataclasses
import enum
import socket
import threading
from pathlib import Path

from service.config import Config


class ProxyFault(enum.Enum):
    """What happens to a connection, or to a statement on its way."""

    CONNECTION_CUT = "the connection is accepted and cut before MySQL's greeting"
    GREETING_STALLED = "the connection is accepted, and MySQL's greeting never comes"
    GREETING_HALVED = "half of MySQL's greeting comes, then the connection is cut"
    LOGIN_LOST = "MySQL accepts the password, and the connection is cut before MySQL's reply"
    REQUEST_LOST = "the connection is cut before MySQL receives the statement"
    REQUEST_HALVED = "MySQL receives half of the statement, then the connection is cut"
    REQUEST_STALLED = "MySQL never receives the statement, and nothing is cut"
    REPLY_LOST = "MySQL executes the statement, and the connection is cut before its reply"
    REPLY_HALVED = "MySQL executes the statement, and the connection is cut in the middle of its reply"
    REPLY_STALLED = "MySQL executes the statement, and its reply never comes"


CONNECTION_FAULTS = [fault for fault in ProxyFault if fault.name.startswith(("CONNECTION", "GREETING", "LOGIN"))]
STATEMENT_FAULTS = [fault for fault in ProxyFault if fault not in CONNECTION_FAULTS]
REPLY_FAULTS = (ProxyFault.REPLY_LOST, ProxyFault.REPLY_HALVED, ProxyFault.REPLY_STALLED)  # MySQL has executed it


class FaultProxy:
    """Listens on a unix socket and passes everything on to MySQL's, except for the faults it is told of.

    A fault in `statement_faults` happens to the next statement that contains its marker, one in `connection_faults` to
    the next connection.
    """

    def __init__(self, path: Path, mysql: str) -> None:
        self.path = path
        self.statement_faults: list[tuple[bytes, ProxyFault]] = []
        self.connection_faults: list[ProxyFault] = []
        self._mysql = mysql
        self._open: list[socket.socket] = []
        self._all: list[socket.socket] = []
        self._listen()

    @property
    def pending(self) -> list[object]:
        """The faults that have not happened yet."""
        return [*self.statement_faults, *self.connection_faults]

    def config(self, config: Config, db_timeout: float) -> Config:
        """Return the settings of a service that reaches MySQL through the proxy."""
        return dataclasses.replace(config, db_socket=str(self.path), db_timeout=db_timeout)

    def break_next(self, *faults: ProxyFault, marker: bytes = b"INSERT") -> None:
        """Let each fault happen to the next statement with the marker, or to the next connection."""
        self.statement_faults = [(marker, fault) for fault in faults if fault in STATEMENT_FAULTS]
        self.connection_faults = [fault for fault in faults if fault in CONNECTION_FAULTS]

    def go_down(self) -> None:
        """Cut every connection and refuse new ones, as a stopped MySQL does."""
        self.path.unlink()
        self.cut()

    def come_up(self) -> None:
        """Accept connections again."""
        self._listening.close()
        self._listen()

    def cut(self) -> None:
        """Cut every connection."""
        self.shut(*self._open)
        self._open.clear()

    def close(self) -> None:
        """Stop listening, and close everything."""
        self._listening.close()
        for connection in self._all:
            self.shut(connection)
            connection.close()

    def take_fault(self, data: bytes) -> ProxyFault | None:
        """Return the fault that happens to a statement now."""
        if self.statement_faults and self.statement_faults[0][0] in data:
            return self.statement_faults.pop(0)[1]
        return None

    @staticmethod
    def shut(*connections: socket.socket) -> None:
        """Shut connections down in both directions."""
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

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
            fault = self.connection_faults.pop(0) if self.connection_faults else None
            if fault is ProxyFault.CONNECTION_CUT:
                self.shut(client)
            elif fault is not ProxyFault.GREETING_STALLED:
                server.connect(self._mysql)
                _Connection(self, client, server, fault)


class _Connection:
    """Two threads that pass on the requests of a client and the replies of MySQL until a fault."""

    def __init__(
        self, proxy: FaultProxy, client: socket.socket, server: socket.socket, fault: ProxyFault | None
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._fault = fault  # of the next reply
        self._logged_in = fault is not ProxyFault.LOGIN_LOST
        for pass_on in (self._pass_requests, self._pass_replies):
            threading.Thread(target=pass_on, daemon=True).start()

    def _pass_requests(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._client.recv(65536):
                self._logged_in = True
                fault = self._proxy.take_fault(data)
                if fault in REPLY_FAULTS:
                    self._fault = fault
                if fault is ProxyFault.REQUEST_HALVED:
                    self._server.sendall(data[: len(data) // 2])
                elif fault not in (ProxyFault.REQUEST_LOST, ProxyFault.REQUEST_STALLED):
                    self._server.sendall(data)
                if fault in (ProxyFault.REQUEST_LOST, ProxyFault.REQUEST_HALVED):
                    break
        self._proxy.shut(self._client, self._server)

    def _pass_replies(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._server.recv(65536):
                if self._fault is None or not self._logged_in:
                    self._client.sendall(data)
                    continue
                if self._fault in (ProxyFault.GREETING_HALVED, ProxyFault.REPLY_HALVED):
                    self._client.sendall(data[: len(data) // 2])
                if self._fault is not ProxyFault.REPLY_STALLED:
                    break
        self._proxy.shut(self._client, self._server)
