"""Slow clients are cut off in time, hold little memory, and delay no other client."""

import select
import socket
import time
from collections.abc import Iterator
from statistics import median

import pytest

from tests.support.slow_clients import (
    CUT_OFF,
    LATE,
    SLOW,
    Attack,
    SlowClients,
    connections,
    slowhttptest,
    unfinished_requests,
)
from tests.support.stack import RunningStack
from tests.support.traffic import Traffic


@pytest.fixture
def slow(stack: RunningStack) -> Iterator[SlowClients]:
    clients = SlowClients(stack.port)
    yield clients
    clients.close()


@pytest.mark.long
def test_a_thousand_slow_clients_are_cut_off_in_time_and_delay_no_other_client(
    stack: RunningStack, slow: SlowClients
) -> None:
    served = 0
    while slow.open == SLOW:
        traffic = Traffic(stack.port, 400)
        assert traffic.wrong == []
        served += 400 if slow.open == SLOW else 0
    assert served, "no traffic while all slow clients were connected"

    slow.wait()

    assert len(slow.cut) == SLOW, f"{slow.open} of them are still connected"
    assert slow.received == b"", "an unfinished request was answered"
    assert stack.wire.request("GET", f"/pessoas?t={slow.nickname}").json() == []
    print(f"{served} requests answered; cut off after {min(slow.cut):.1f} to {max(slow.cut):.1f} s")


@pytest.mark.long
@pytest.mark.parametrize(("path", "times"), [("/openapi.yaml", 20), ("/page/swagger-ui-bundle.js", 1)])
def test_clients_that_do_not_read_their_answers_are_cut_off_in_time_and_hold_little_memory(
    stack: RunningStack, path: str, times: int
) -> None:
    count, each = 100, 128 << 10
    asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * times  # 600 KB of answers and more
    open_ones, poll = {}, select.poll()
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", stack.port))
        client.sendall(asked)
        open_ones[client.fileno()] = client
        poll.register(client, 0)  # for a reset only
    started, most = time.monotonic(), 0
    try:
        while open_ones and time.monotonic() < started + CUT_OFF + LATE:
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


@pytest.mark.soak
@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(unfinished_requests, id="half of a request"),
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
    """Measure three times, without and with slow clients; the median of the ratios excludes a disturbance."""
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
                f"{name}: {len(traffic.seconds)} requests in {traffic.duration:.1f} s, "
                f"p50 {traffic.percentile(0.5) * 1000:.1f} ms, p99 {traffic.percentile(0.99) * 1000:.1f} ms"
            )
    print("ratios of p99:", ", ".join(f"{ratio:.2f}" for ratio in ratios))
    assert Traffic(stack.port, 400).wrong == []
    assert median(ratios) < 2


def steady(stack: RunningStack) -> Traffic:
    """Send approximately 300 requests a second, for a shorter time than a slow client is connected."""
    traffic = Traffic(stack.port, 1600, clients=8, pause=0.025)
    assert traffic.wrong == []
    return traffic
