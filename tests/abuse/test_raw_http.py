"""Requests that no HTTP library sends get exactly the answers of a table, byte for byte through nginx.

Afterwards the service answers the next client, no worker has died, each error has the form of all errors, and a request
that is hidden in another one was not executed.
"""

import json
import socket
from collections.abc import Iterator

import pytest

from ops.system.processes import members
from tests.support.contract import check_problem
from tests.support.people import new_nickname
from tests.support.raw_http import CHUNKED, HIDDEN, LENGTH, STORED, TABLE, Case, answers_to, chunk, person, post
from tests.support.stack import RunningStack
from tests.support.traffic import answers_in


def processes(stack: RunningStack) -> dict[str, list[int]]:
    """Return the processes of nginx and of the instances."""
    components = stack.state.components.items()
    return {name: sorted(members(component.pid)) for name, component in components if name not in ("mysql", "reserve")}


@pytest.fixture(scope="module", autouse=True)
def no_process_dies(stack: RunningStack) -> Iterator[None]:
    """Check that the same processes run after all tests of this module."""
    before = processes(stack)
    yield
    assert processes(stack) == before


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name[:60])
def test_bytes_are_answered_as_the_table_says(stack: RunningStack, case: Case) -> None:
    stored, hidden = new_nickname()[: len(STORED)], new_nickname()[: len(HIDDEN)]
    sent = case.sent.replace(STORED, stored.encode()).replace(HIDDEN, hidden.encode())

    answers = answers_to(case._replace(sent=sent), stack.port)

    assert tuple(answer.status for answer in answers) == case.statuses
    for answer in answers:
        if answer.status >= 400:
            check_problem(answer, answer.status, answer.json().get("field"))
        assert answer.status == 100 or answer.headers["x-request-id"]
    assert [one["id"] for one in search(stack, stored)] == [
        answer.json()["id"] for answer in answers if answer.status == 201
    ]
    assert search(stack, hidden) == []


def search(stack: RunningStack, nickname: str) -> list[dict[str, str]]:
    """Return the people that a search on a new connection finds."""
    answer = stack.wire.request("GET", f"/pessoas?t={nickname}")
    assert answer.status == 200
    return list(answer.json())


@pytest.mark.parametrize(
    ("sent", "received"), [(b"GET /pessoas?t=no%20such%20person\r\n", b"[]"), (b"GET /pessoas\r\n", None)]
)
def test_http_0_9_gets_a_body_and_nothing_else(stack: RunningStack, sent: bytes, received: bytes | None) -> None:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as connection:
        connection.sendall(sent)
        body = connection.makefile("rb").read()

    assert body == received if received else json.loads(body)["status"] == 400


def test_a_creation_in_http_0_9_is_refused(stack: RunningStack) -> None:
    hidden = new_nickname()
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as connection:
        connection.sendall(b"POST /pessoas\r\n" + person(hidden.encode()))
        assert json.loads(connection.makefile("rb").read())["status"] == 400

    assert search(stack, hidden) == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_that_comes_byte_by_byte_is_one_request(stack: RunningStack, chunked: bool) -> None:
    nick = new_nickname()
    body = person(nick.encode())
    in_chunks = b"".join(chunk(bytes([byte])) for byte in body) + b"0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(in_chunks, CHUNKED) if chunked else post(body, LENGTH):
            connection.sendall(bytes([byte]))
        (answer,), _ = answers_in(connection.makefile("rb").read())

    assert answer.status == 201
    assert [one["id"] for one in search(stack, nick)] == [answer.json()["id"]]
