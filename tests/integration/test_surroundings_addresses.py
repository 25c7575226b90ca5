"""Addresses: `localhost` is ::1 first for some clients, other services listen on one family, machines lack IPv6.

Each situation is a row: who listens or who asks, and what must be seen.
"""

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from service.probe import is_serving
from tests.support.instance import TCP, Start
from tests.support.processes import check_no_process_left, kill_processes_of
from tests.support.stack import SMALL, RunningStack, free_port, rinha
from tests.support.without_ipv6 import refuse_ipv6


class Listener(NamedTuple):
    """Another service: its address, whether it takes IPv4 too, and what `up` says about the port."""

    address: str
    dual: bool
    seen: str


LISTENERS = (
    Listener("127.0.0.1", False, "is taken; "),
    Listener("0.0.0.0", False, "is taken; "),
    Listener("::1", False, "is taken on IPv6; "),
    Listener("::", False, "is taken on IPv6; "),
    Listener("::", True, "is taken; "),
)


@contextmanager
def listening(listener: Listener) -> Iterator[int]:
    """Listen as another service, and yield its port."""
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    port = free_port()
    with socket.create_server((listener.address, port), family=family, dualstack_ipv6=listener.dual):
        yield port


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.0.0.2", "::ffff:127.0.0.1"])
def test_the_service_answers_on_every_address_of_this_machine(stack: RunningStack, address: str) -> None:
    connection = http.client.HTTPConnection(address, stack.port, timeout=10)
    try:
        connection.request("GET", "/contagem-pessoas")
        assert connection.getresponse().status == 200
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_command_reaches_the_service_on_every_address(stack: RunningStack, host: str) -> None:
    completed = rinha("count", "--url", f"http://{host}:{stack.port}")

    assert completed.returncode == 0, completed.stderr


@pytest.mark.parametrize("listener", LISTENERS, ids=lambda one: f"{one.address}{' and IPv4' if one.dual else ''}")
def test_up_refuses_a_port_on_which_another_service_listens(tmp_path: Path, listener: Listener) -> None:
    with listening(listener) as port:
        completed = rinha("up", "--port", str(port), "--data", str(tmp_path))

    assert completed.returncode == 1
    assert f"port {port} {listener.seen}" in completed.stdout + completed.stderr
    check_no_process_left(tmp_path)


def test_a_machine_without_ipv6_serves_on_ipv4(tmp_path: Path) -> None:
    stack = RunningStack(free_port(), tmp_path)
    stack.copy_new_database()
    try:
        completed = stack.rinha("up", "--detach", *SMALL, preexec_fn=refuse_ipv6)

        assert completed.returncode == 0, completed.stdout + completed.stderr
        assert stack.wire.request("GET", "/contagem-pessoas").status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", stack.port), timeout=10)
        stack.down()
    finally:
        kill_processes_of(tmp_path)


@pytest.mark.parametrize(("host", "addresses"), [("[::1]", ["::1"]), ("[::]", ["::1", "127.0.0.1"])])
def test_an_instance_listens_on_ipv6(start: Start, host: str, addresses: list[str]) -> None:
    port = free_port()
    start(TCP, LISTEN=f"{host}:{port}")

    for address in addresses:
        assert is_serving(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
