"""SIGTERM stops an instance: it finishes the accepted requests, accepts no other, and ends in time."""

import http.client
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.instance import (
    EACH,
    LISTENERS,
    LONG_TIMEOUTS,
    SHARED,
    SOCKETS,
    TCP,
    Instance,
    Start,
    connect,
    service_environment,
)
from tests.support.mysql import locked_table, waiting_statements
from tests.support.people import create_person
from tests.support.polling import TIMEOUT, is_true_within, wait_until
from tests.support.stack import RunningStack


@pytest.mark.parametrize(
    ("listener", "number"),
    [(SHARED, signal.SIGTERM), (EACH, signal.SIGTERM), (TCP, signal.SIGTERM), (SHARED, signal.SIGINT)],
)
def test_an_idle_instance_stops_at_once(start: Start, listener: str, number: signal.Signals) -> None:
    instance = start(listener, SHUTDOWN_TIMEOUT="600")
    instance.get("/health/ready")

    instance.process.send_signal(number)

    assert instance.wait() == 0
    assert not instance.workers()
    assert not instance.open_addresses()


STOPPED_AT_START = """
import os, signal, time
from service.server import Supervisor

signal.signal(signal.SIGINT, signal.SIG_IGN)
supervisor = os.getpid()

def make_app(worker):
    os.kill(supervisor, signal.SIGTERM)
    time.sleep(2)

Supervisor([os.environ["LISTEN"]], make_app, 600).run()
"""


def test_a_worker_ends_while_it_starts(stack: RunningStack, directory: Path) -> None:
    """A script starts its processes in the background with SIGINT ignored."""
    environment = service_environment(stack, LISTEN=f"unix:{directory}/api.sock", WORKERS="1")
    instance = Instance(environment, directory / "log", ("-c", STOPPED_AT_START))
    try:
        assert instance.wait() == 0, instance.log()
        assert "did not finish in time" not in instance.log()
    finally:
        instance.kill()


@LISTENERS
def test_sigterm_finishes_the_request_in_flight_and_accepts_no_other(
    start: Start, stack: RunningStack, listener: str
) -> None:
    """It refuses connections, so that the load balancer chooses another instance instead of waiting."""
    instance = start(listener, **LONG_TIMEOUTS)
    instance.wait_for_workers(2)
    with ThreadPoolExecutor() as pool, locked_table(stack) as root:
        answer = pool.submit(create_person, instance.client)
        wait_until(lambda: waiting_statements(root) == 1, describe=instance.log)

        instance.process.terminate()
        instance.wait_for_workers(1)  # the idle one has ended
        closed = is_true_within(5, lambda: not instance.open_addresses())
        assert not answer.done()
        root.execute("UNLOCK TABLES")

        created = answer.result(TIMEOUT)
    assert created.status == 201
    assert instance.wait() == 0
    assert stack.wire.request("GET", created.headers["location"]).json() == created.json()
    assert closed, "it still accepted connections"


@SOCKETS
def test_requests_in_the_queue_at_sigterm_are_answered(start: Start, stack: RunningStack, listener: str) -> None:
    """All workers of the queue are busy at that moment."""
    instance = start(listener, WORKERS="1" if listener == SHARED else "2", **LONG_TIMEOUTS)
    count = 100
    with ThreadPoolExecutor() as pool, locked_table(stack) as root:
        first = pool.submit(create_person, instance.client)
        wait_until(lambda: waiting_statements(root) == 1, describe=instance.log)
        waiting = [instance.connect() for _ in range(count)]
        try:
            for number, connection in enumerate(waiting):
                path = "/contagem-pessoas" if number % 2 else "/health/live"
                connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())

            instance.process.terminate()
            wait_until(lambda: not instance.open_addresses(), describe=instance.log)
            root.execute("UNLOCK TABLES")

            statuses = []
            for connection in waiting:
                response = http.client.HTTPResponse(connection)
                response.begin()
                response.read()
                statuses.append(response.status)
                response.close()
        finally:
            for connection in waiting:
                connection.close()
        assert first.result(TIMEOUT).status == 201
    assert statuses == [200] * count
    assert instance.wait() == 0


@LISTENERS
def test_sigterm_ends_an_instance_in_time_despite_open_connections(start: Start, listener: str) -> None:
    """The connections have sent nothing, or half a request, or are kept alive after an answer."""
    instance = start(listener, SHUTDOWN_TIMEOUT="0.5")
    request = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    connections = [
        (connect(address), sent) for sent in (b"", request[:9], request) * 4 for address in instance.addresses
    ]
    try:
        for connection, sent in connections:
            connection.sendall(sent)
            if sent == request:
                assert connection.recv(9999).startswith(b"HTTP/1.1 200")
        assert instance.get("/health/live").status == 200

        instance.process.terminate()

        assert instance.process.wait(10) == 0
        assert not instance.workers()
    finally:
        for connection, _ in connections:
            connection.close()


def test_sigterm_ends_an_instance_in_time_while_mysql_blocks(start: Start, stack: RunningStack) -> None:
    instance = start(DB_TIMEOUT="60", SHUTDOWN_TIMEOUT="0.5")
    with ThreadPoolExecutor() as pool, locked_table(stack) as root:
        answer = pool.submit(create_person, instance.client)
        wait_until(lambda: waiting_statements(root) == 1, describe=instance.log)

        instance.process.terminate()

        assert instance.process.wait(10) == 0
        assert not instance.workers()
        assert isinstance(answer.exception(TIMEOUT), (OSError, http.client.HTTPException)), "a false answer"


@SOCKETS
def test_an_instance_that_stops_leaves_the_sockets_of_its_successor_alone(start: Start, listener: str) -> None:
    """A second instance takes the path of the first one, and the end of the first one does not remove it."""
    first = start(listener)
    second = start(listener)
    wait_until(lambda: "serving on" in second.log())

    first.process.terminate()

    assert first.wait() == 0, first.log()
    assert second.open_addresses() == len(second.addresses), "the successor's socket is gone"
    assert second.get("/health/live").status == 200


def test_an_instance_whose_socket_file_is_gone_stops_cleanly(start: Start) -> None:
    instance = start()
    Path(str(instance.addresses[0])).unlink()

    instance.process.terminate()

    assert instance.wait() == 0, instance.log()
    assert "Traceback" not in instance.log()
