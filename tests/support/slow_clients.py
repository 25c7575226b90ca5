"""Clients that never finish a request, by themselves and by slowhttptest."""

import re
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import ops.stack.nginx
from ops.system.debian import install
from tests.support.people import new_nickname
from tests.support.polling import wait_until

SLOW = 1000
CUT_OFF = max(  # seconds after which nginx closes the connection of a slow client
    float(seconds)
    for seconds in re.findall(
        r"(?:client_header|client_body|send)_timeout +(\d+)s;", ops.stack.nginx.CONFIGURATION.read_text()
    )
)
LATE = 10.0  # seconds that a busy machine may add
Attack = Callable[[int], AbstractContextManager[Callable[[], int]]]


class SlowClients:
    """Connections that send a header each second, or half of a body and then nothing.

    `cut` has the seconds from the start until nginx closed each connection.
    """

    def __init__(self, port: int, count: int = SLOW) -> None:
        self.cut: list[float] = []
        self.received = b""
        self.nickname = new_nickname()
        body = b'{"apelido":"%s","nome":"Ana","nascimento":"2000-01-01"}' % self.nickname.encode()
        head = b"POST /pessoas HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        half = head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1]
        self._started = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._drips: list[socket.socket] = []
        for number in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            connection.sendall(half if number % 2 else head)
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ, connection)
            if not number % 2:
                self._drips.append(connection)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def open(self) -> int:
        """The number of open connections."""
        return len(self._selector.get_map())

    def wait(self) -> None:
        """Wait until nginx has closed every connection, or until it is too late."""
        self._thread.join()

    def close(self) -> None:
        """Close all connections."""
        self._stopped.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            self._cut(key.data)
        self._selector.close()

    def _run(self) -> None:
        next_drip = self._started
        while self.open and time.monotonic() < self._started + CUT_OFF + LATE and not self._stopped.is_set():
            for key, _ in self._selector.select(0.1):
                self._read(key.data)
            if time.monotonic() >= next_drip:
                next_drip += 1
                for connection in [one for one in self._drips if one.fileno() >= 0]:
                    try:
                        connection.send(b"X-Slow: 1\r\n")
                    except OSError:
                        self._cut(connection)

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            data = b""
        self.received += data
        if not data:
            self._cut(connection)

    def _cut(self, connection: socket.socket) -> None:
        self.cut.append(time.monotonic() - self._started)
        self._selector.unregister(connection)
        connection.close()


def connections(port: int) -> tuple[int, int]:
    """Return the number of clients of a port, and the bytes of answers that the kernel holds for them."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [line for line in lines if int(line[1].partition(":")[2], 16) == port]
    waiting = sum(int(line[4].partition(":")[0], 16) for line in ours)
    return sum(line[3] == "01" for line in ours), waiting


@contextmanager
def unfinished_requests(port: int) -> Iterator[Callable[[], int]]:
    """Attack during the context; the value returns how many clients are connected."""
    clients = SlowClients(port)
    try:
        yield lambda: clients.open
    finally:
        clients.close()


def slowhttptest(path: str, *mode: str) -> Attack:
    """Return an attack by slowhttptest, a package of Debian."""

    @contextmanager
    def attack(port: int) -> Iterator[Callable[[], int]]:
        program = install(["slowhttptest"], print).command("usr/bin/slowhttptest")
        how = ["-c", str(SLOW), "-r", str(SLOW), "-l", "100", "-i", "4", *mode]
        running = subprocess.Popen([*program, *how, "-u", f"http://127.0.0.1:{port}{path}"], stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: connections(port)[0] >= SLOW or running.poll() is not None, LATE)
            assert running.poll() is None, "slowhttptest has ended"
            yield lambda: min(connections(port)[0], SLOW)
        finally:
            running.kill()
            running.wait()

    return attack
