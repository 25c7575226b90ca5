"""A thousand clients that never finish their request, or never read an answer: nobody else notices, and in time they
are cut off.
"""

import re
import select
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median

import pytest

import ops.stack.nginx
from ops.system.debian import install
from tests.support.people import nickname
from tests.support.stack import RunningStack
from tests.support.traffic import Traffic

SLOW = 1000
BOUND = max(
    float(seconds)
    for seconds in re.findall(
        r"(?:client_header|client_body|send)_timeout +(\d+)s;", ops.stack.nginx.CONFIGURATION.read_text()
    )
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


def connections(port: int) -> tuple[int, int]:
    """Return how many clients are connected to a port, and how many bytes of answers the kernel holds for them."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [line for line in lines if int(line[1].partition(":")[2], 16) == port]
    waiting = sum(int(line[4].partition(":")[0], 16) for line in ours)
    return sum(line[3] == "01" for line in ours), waiting


def test_clients_that_do_not_read_their_answers_are_cut_off_in_time_and_hold_little_memory(stack: RunningStack) -> None:
    count, each = 100, 128 << 10
    asked = b"GET /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20  # 600 KB of answers
    open_ones, poll = {}, select.poll()
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", stack.port))
        client.sendall(asked)
        open_ones[client.fileno()] = client
        poll.register(client, 0)  # to be told of a reset, and of nothing else
    started, most = time.monotonic(), 0
    try:
        while open_ones and time.monotonic() < started + BOUND + LATE:
            for number, _ in poll.poll(100):
                poll.unregister(number)
                open_ones.pop(number).close()
            most = max(most, connections(stack.port)[1])
        assert not open_ones, f"{len(open_ones)} of them are still connected"
    finally:
        for client in open_ones.values():
            client.close()

    assert count * 4096 < most < count * each, f"{most} bytes in the kernel"
    assert Traffic(stack.port, 80).wrong == []


Attack = Callable[[int], AbstractContextManager[Callable[[], int]]]


@contextmanager
def our_own(port: int) -> Iterator[Callable[[], int]]:
    """Attack in a block; the value tells how many clients are connected."""
    clients = SlowClients(port)
    try:
        yield lambda: clients.open
    finally:
        clients.close()


def slowhttptest(path: str, *mode: str) -> Attack:
    """Return the attack of the program of that name, as Debian packs it."""

    @contextmanager
    def attack(port: int) -> Iterator[Callable[[], int]]:
        program = install(["slowhttptest"], print).command("usr/bin/slowhttptest")
        how = ["-c", str(SLOW), "-r", str(SLOW), "-l", "100", "-i", "4", *mode]
        running = subprocess.Popen([*program, *how, "-u", f"http://127.0.0.1:{port}{path}"], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + LATE
            while connections(port)[0] < SLOW:
                assert running.poll() is None, "slowhttptest has ended"
                assert time.monotonic() < deadline, "there are too few slow clients"
                time.sleep(0.05)
            yield lambda: min(connections(port)[0], SLOW)
        finally:
            running.kill()
            running.wait()

    return attack


@pytest.mark.soak
@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(our_own, id="half of a request"),
        pytest.param(slowhttptest("/pessoas?t=ana", "-H"), id="slowhttptest, slow headers"),
        pytest.param(
            slowhttptest("/pessoas", "-B", "-t", "POST", "-f", "application/json", "-s", "8192"),
            id="slowhttptest, slow body",
        ),
        pytest.param(
            slowhttptest("/openapi.yaml", "-X", "-w", "10", "-y", "100", "-n", "2", "-z", "5", "-k", "10"),
            id="slowhttptest, slow read",
        ),
    ],
)
def test_a_thousand_slow_clients_do_not_double_the_time_of_an_answer(stack: RunningStack, attack: Attack) -> None:
    """Three times in turn, quiet and with the slow; the median of the ratios counts: the machine is not ours alone."""
    Traffic(stack.port, 4000)  # warm-up
    ratios = []
    for _ in range(3):
        quiet = steady(stack)
        with attack(stack.port) as connected:
            attacked = steady(stack)
            still_open = connected()
        assert still_open == SLOW
        ratios.append(attacked.percentile(0.99) / quiet.percentile(0.99))
        for name, traffic in (("quiet", quiet), ("with 1,000 slow clients", attacked)):
            print(
                f"{name}: {len(traffic.seconds)} requests in {traffic.lasted:.1f} s, "
                f"p50 {traffic.percentile(0.5) * 1000:.1f} ms, p99 {traffic.percentile(0.99) * 1000:.1f} ms"
            )
    print("ratios of p99:", ", ".join(f"{ratio:.2f}" for ratio in ratios))
    assert Traffic(stack.port, 400).wrong == []
    assert median(ratios) < 2


def steady(stack: RunningStack) -> Traffic:
    """Return what some 300 requests a second got, for less time than nginx has patience with the slow."""
    traffic = Traffic(stack.port, 1600, clients=8, pause=0.025)
    assert traffic.wrong == []
    return traffic
