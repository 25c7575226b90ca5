"""An API instance serves on a socket or a port, with all of its workers, and logs in one form."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.instance import (
    LISTENERS,
    LONG_TIMEOUTS,
    SOCKETS,
    Start,
)
from tests.support.mysql import locked_table, waiting_statements
from tests.support.people import create_person
from tests.support.polling import TIMEOUT, wait_until
from tests.support.stack import RunningStack


@LISTENERS
def test_an_instance_serves_with_as_many_workers_as_set(start: Start, listener: str) -> None:
    instance = start(listener)

    instance.wait_for_workers(2)
    assert instance.get("/health/live").json() == {"status": "live"}
    assert instance.get("/health/ready").json() == {"status": "ready"}
    created = create_person(instance.client)
    assert created.status == 201
    assert instance.get(created.headers["location"]).json() == created.json()


@SOCKETS
def test_a_socket_is_open_to_a_load_balancer_of_another_user(start: Start, listener: str) -> None:
    for address in start(listener).addresses:
        assert Path(str(address)).stat().st_mode & 0o777 == 0o666


@LISTENERS
def test_a_busy_worker_delays_no_request_that_another_worker_can_answer(
    start: Start, stack: RunningStack, listener: str
) -> None:
    """Another worker takes the next request from a shared queue. If each worker has a socket, it has its own queue."""
    instance = start(listener, **LONG_TIMEOUTS)
    other = instance.client_of(instance.addresses[-1])
    with ThreadPoolExecutor() as pool, locked_table(stack) as root:
        busy = pool.submit(create_person, instance.client)
        wait_until(lambda: waiting_statements(root) == 1, describe=instance.log)

        for _ in range(10):
            assert other.request("GET", "/health/live").status == 200

        assert not busy.done()
        root.execute("UNLOCK TABLES")
        assert busy.result(TIMEOUT).status == 201


@SOCKETS
def test_a_stale_socket_file_does_not_prevent_the_start(start: Start, listener: str) -> None:
    killed = start(listener)
    killed.kill()
    assert all(Path(str(address)).is_socket() for address in killed.addresses), "nothing is stale"

    assert start(listener).get("/health/ready").status == 200


def test_every_event_is_one_line_of_the_log(start: Start) -> None:
    instance = start()
    instance.process.terminate()
    instance.wait()

    lines = [json.loads(line) for line in instance.log().splitlines()]

    assert {tuple(line) for line in lines} == {("time", "level", "pid", "request_id", "message")}
    messages = [line["message"] for line in lines]
    assert messages == [f"serving on {instance.listen} with 2 processes", "stopping", "stopped"]
