"""A thousand clients that never finish their request: nobody else notices, and nginx cuts them off in time."""

import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from statistics import median

import pytest

import lb.server
from tests.abuse.wire import Traffic
from tests.conftest import RunningStack, nickname

SLOW = 1000
BOUND = max(
    float(seconds)
    for seconds in re.findall(r"client_(?:header|body)_timeout +(\d+)s;", lb.server.CONFIGURATION.read_text())
)
LATE = 10.0  # seconds more that a busy machine may need: the bound is a promise, not a speed


class SlowClients:
    """Connections that send a header a second for ever, or half of a body and then nothing.

    `cut` has for each that nginx has closed how many seconds after the start that was.
    """

    def __init__(self, port: int, count: int = SLOW) -> None:
        self.cut: list[float] = []
        self.received = b""
        body = b'{"apelido":"%s","nome":"Ana","nascimento":"2000-01-01"}' % (mark := nickname().encode())
        self.nickname = mark.decode()
        head = b"POST /pessoas HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        half = head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1]
        self._started = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._drips: list[socket.socket] = []
        for number in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            connection.sendall(half if number % 2 else head)
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ)
            if not number % 2:
                self._drips.append(connection)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def open(self) -> int:
        return len(self._selector.get_map())

    def wait(self) -> None:
        """Wait until nginx has closed every connection, for as long as that may take."""
        self._thread.join()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            self._cut(key.fileobj)
        self._selector.close()

    def _run(self) -> None:
        next_drip = self._started
        while self.open and time.monotonic() < self._started + BOUND + LATE and not self._stopped.is_set():
            for key, _ in self._selector.select(0.1):
                self._read(key.fileobj)
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


@pytest.fixture
def slow(stack: RunningStack) -> Iterator[SlowClients]:
    clients = SlowClients(stack.port)
    yield clients
    clients.close()


def test_a_thousand_slow_clients_hinder_nobody_and_are_cut_off_in_time(stack: RunningStack, slow: SlowClients) -> None:
    served = 0
    while slow.open == SLOW:
        traffic = Traffic(stack.port, 400)
        assert traffic.wrong == []
        served += 400 if slow.open == SLOW else 0
    assert served, "no traffic while all slow clients were connected"

    slow.wait()

    assert len(slow.cut) == SLOW, f"{slow.open} of them are still connected"
    assert slow.received == b"", "a request that never came whole was answered"
    assert stack.wire.ask("GET", f"/pessoas?t={slow.nickname}").json() == []
    print(f"{served} requests answered; cut off after {min(slow.cut):.1f} to {max(slow.cut):.1f} s")


@pytest.mark.soak
def test_a_thousand_slow_clients_do_not_double_the_time_of_an_answer(stack: RunningStack) -> None:
    """Three times in turn, quiet and with the slow; the median of the ratios counts: the machine is not ours alone."""
    Traffic(stack.port, 4000)  # warm-up
    ratios = []
    for _ in range(3):
        quiet = steady(stack)
        clients = SlowClients(stack.port)
        attacked = steady(stack)
        still_open = clients.open
        clients.close()
        assert still_open == SLOW
        ratios.append(attacked.percentile(0.99) / quiet.percentile(0.99))
        for name, traffic in (("quiet", quiet), ("with 1,000 slow clients", attacked)):
            print(
                f"{name}: {len(traffic.seconds)} requests in {traffic.lasted:.1f} s, "
                f"p50 {traffic.percentile(0.5) * 1000:.1f} ms, p99 {traffic.percentile(0.99) * 1000:.1f} ms"
            )
    print("ratios of p99:", ", ".join(f"{ratio:.2f}" for ratio in ratios))
    assert median(ratios) < 2


def steady(stack: RunningStack) -> Traffic:
    """Return what some 300 requests a second got, for less time than nginx has patience with the slow."""
    traffic = Traffic(stack.port, 1600, clients=8, pause=0.025)
    assert traffic.wrong == []
    return traffic
