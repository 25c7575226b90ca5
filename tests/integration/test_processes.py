"""The processes of one API instance: started, replaced, drained and stopped as the load balancer and the operator need.

Each test starts `python -m service` for itself, on a unix socket or a TCP port of its own, with the
MySQL of the session's stack.
"""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pymysql
import pytest

from ops import ROOT
from ops.system.processes import members, usage
from service.config import Config
from service.store import SCHEMA
from tests.support.client import Answer, OverTheWire, post
from tests.support.people import nickname
from tests.support.stack import RunningStack, free_port

LONG = 30.0  # seconds that only a failing test waits
LONG_TIMEOUTS = {"DB_TIMEOUT": "30", "SHUTDOWN_TIMEOUT": "30"}
SHARED, EACH, TCP = "a socket", "a socket for each", "a port"
LISTENERS = pytest.mark.parametrize("listener", [SHARED, EACH, TCP])
SOCKETS = pytest.mark.parametrize("listener", [SHARED, EACH])


def soon(condition: Callable[[], object], seconds: float) -> bool:
    """Tell whether `condition` is true, or becomes so within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def until(condition: Callable[[], object], seconds: float = LONG, say: Callable[[], object] = str) -> None:
    """Return as soon as `condition` is true; fail after `seconds`, with what `say` says."""
    assert soon(condition, seconds), say()


def settings(stack: RunningStack, **given: str) -> dict[str, str]:
    """Return an environment with the settings `given`, MySQL's address, and no other setting of the service."""
    names = {name for field in fields(Config) for name in (field.name.upper(), f"{field.name.upper()}_FILE")}
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    database = {"DB_SOCKET": stack.config.db_socket, "DB_PASSWORD": stack.config.db_password}
    return {**inherited, "PYTHONPATH": str(ROOT), **database, **given}


Address = str | tuple[str, int]  # of a unix socket, or host and port


def reach(address: Address) -> socket.socket:
    """Return a new connection."""
    connection = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    try:
        connection.settimeout(LONG)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def accepts(address: Address) -> bool:
    """Tell whether somebody can connect."""
    try:
        reach(address).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


class Instance:
    """An API instance in a process group of its own, and what is to be known of it from outside."""

    def __init__(self, environment: dict[str, str], log: Path, command: tuple[str, ...] = ("-m", "service")) -> None:
        self.listen = environment["LISTEN"]
        self.count = int(environment["WORKERS"])
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    @property
    def addresses(self) -> list[Address]:
        """Return where it listens: once, or once for each worker."""
        host, _, port = self.listen.rpartition(":")
        if host != "unix":
            return [(host, int(port))]
        paths = [port.replace("%", str(number)) for number in range(1, self.count + 1)]
        return [*dict.fromkeys(paths)]

    @property
    def client(self) -> OverTheWire:
        """Return a client of the first address."""
        return self.client_of(self.addresses[0])

    def client_of(self, address: Address) -> OverTheWire:
        return OverTheWire(address if isinstance(address, str) else address[1])

    def connect(self) -> socket.socket:
        """Return a new connection to the first address."""
        return reach(self.addresses[0])

    def accepts(self) -> int:
        """Return at how many of its addresses somebody can connect."""
        return sum(map(accepts, self.addresses))

    def ask(self, path: str) -> Answer:
        """Ask at each address; return the answer, the same everywhere."""
        answers = [self.client_of(address).ask("GET", path) for address in self.addresses]
        assert len({answer.status for answer in answers}) == 1, answers
        return answers[0]

    def log(self) -> str:
        return self._log.read_text()

    def workers(self) -> set[int]:
        """Return the processes that are not the supervisor."""
        return set(members(self.process.pid)) - {self.process.pid}

    def ended(self) -> int:
        """Return the exit status, which must come in time."""
        return self.process.wait(LONG)

    def kill(self) -> None:
        """End what is left, whatever state it is in."""
        if members(self.process.pid):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(LONG)
        until(lambda: not members(self.process.pid))  # till then a dying worker holds the listening socket


Start = Callable[..., Instance]


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory whose name is short enough for a socket's."""
    return tmp_path_factory.mktemp("api")


def listen(listener: str, directory: Path) -> str:
    """Return a value of LISTEN."""
    return {
        SHARED: f"unix:{directory}/api.sock",
        EACH: f"unix:{directory}/api.%.sock",
        TCP: f"127.0.0.1:{free_port()}",
    }[listener]


@pytest.fixture
def start(stack: RunningStack, directory: Path) -> Iterator[Start]:
    """Return how to start an instance that serves; each is ended after the test."""
    instances: list[Instance] = []

    def start(listener: str = SHARED, **given: str) -> Instance:
        environment = settings(stack, **{"LISTEN": listen(listener, directory), "WORKERS": "2", **given})
        instance = Instance(environment, directory / f"{len(instances)}.log")
        instances.append(instance)
        until(
            lambda: instance.accepts() == len(instance.addresses) or instance.process.poll() is not None,
            say=instance.log,
        )
        assert instance.process.poll() is None, instance.log()
        return instance

    yield start
    for instance in instances:
        instance.kill()


class Root:
    """MySQL's root: may lock the table, and see who waits for it."""

    def __init__(self, stack: RunningStack) -> None:
        self.connection = pymysql.connect(unix_socket=stack.config.db_socket, user="root", ssl_disabled=True)

    def do(self, *statements: str) -> Any:
        """Execute the statements; return the rows of the last one."""
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    def waiting(self) -> int:
        """Return how many statements wait for the table."""
        return sum("metadata lock" in str(row[6]) for row in self.do("SHOW PROCESSLIST"))


@contextmanager
def table_held(stack: RunningStack) -> Iterator[Root]:
    """Hold all requests for people in MySQL for as long as the block runs, or until `UNLOCK TABLES`."""
    root = Root(stack)
    try:
        root.do("LOCK TABLES rinha.pessoas WRITE")
        yield root
    finally:
        root.connection.close()


@pytest.fixture
def root(stack: RunningStack) -> Iterator[Root]:
    root = Root(stack)
    yield root
    root.connection.close()


def create(client: OverTheWire) -> Answer:
    """Store somebody new."""
    return post(client, "/pessoas", {"apelido": nickname(), "nome": "Ana", "nascimento": "2000-01-01"})


def check_away(answer: Answer) -> str:
    """Check that an answer says, in the shape errors have, that it is worth asking again; return its detail."""
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    problem = answer.json()
    assert (problem["status"], problem["title"]) == (503, "Service Unavailable")
    return str(problem["detail"])


# Serving


@LISTENERS
def test_an_instance_serves_with_as_many_workers_as_set(start: Start, listener: str) -> None:
    instance = start(listener)

    until(lambda: len(instance.workers()) == 2)
    assert instance.ask("/health/live").json() == {"status": "live"}
    assert instance.ask("/health/ready").json() == {"status": "ready"}
    created = create(instance.client)
    assert created.status == 201
    assert instance.ask(created.headers["location"]).json() == created.json()


@SOCKETS
def test_a_socket_is_open_to_a_load_balancer_of_another_user(start: Start, listener: str) -> None:
    for address in start(listener).addresses:
        assert Path(str(address)).stat().st_mode & 0o777 == 0o666


@LISTENERS
def test_a_busy_worker_holds_up_nobody_who_can_go_to_another(start: Start, stack: RunningStack, listener: str) -> None:
    """Another worker takes the next request from the shared queue; where each has a socket, it has its own queue."""
    instance = start(listener, **LONG_TIMEOUTS)
    other = instance.client_of(instance.addresses[-1])
    with ThreadPoolExecutor() as pool, table_held(stack) as root:
        busy = pool.submit(create, instance.client)
        until(lambda: root.waiting() == 1, say=instance.log)

        for _ in range(10):
            assert other.ask("GET", "/health/live").status == 200

        assert not busy.done()
        root.do("UNLOCK TABLES")
        assert busy.result(LONG).status == 201


@SOCKETS
def test_a_stale_socket_file_does_not_prevent_the_start(start: Start, listener: str) -> None:
    killed = start(listener)
    killed.kill()
    assert all(Path(str(address)).is_socket() for address in killed.addresses), "nothing is stale"

    assert start(listener).ask("/health/ready").status == 200


def test_every_event_is_one_line_of_the_log(start: Start) -> None:
    instance = start()
    instance.process.terminate()
    instance.ended()

    lines = [json.loads(line) for line in instance.log().splitlines()]

    assert {tuple(line) for line in lines} == {("time", "level", "pid", "request_id", "message")}
    assert [line["message"] for line in lines] == [
        f"serving on {instance.listen} with 2 workers", "stopping", "stopped",
    ]  # fmt: skip


# Workers that die


@LISTENERS
def test_a_killed_worker_is_replaced_while_the_instance_answers(start: Start, listener: str) -> None:
    """At every address: the queue of a dead worker waits for the next."""
    instance = start(listener)
    until(lambda: len(instance.workers()) == 2)
    before = instance.workers()
    victim = min(before)

    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        assert instance.ask("/health/live").status == 200
        workers = instance.workers()
        return len(workers) == 2 and victim not in workers

    until(replaced, say=instance.log)
    assert before & instance.workers() == before - {victim}
    assert f"worker {victim} died" in instance.log()


def test_requests_wait_for_the_next_worker_when_the_last_is_killed(start: Start) -> None:
    """The queue is the supervisor's: nobody is turned away."""
    instance = start(WORKERS="1")
    until(instance.workers)
    (victim,) = instance.workers()

    os.kill(victim, signal.SIGKILL)

    assert instance.ask("/health/ready").status == 200
    assert victim not in instance.workers()


CANNOT_START = """
import os, sys, time
from service.server import Supervisor

def make_app(worker):
    with open(os.environ["STARTS"], "a") as starts:
        print(time.monotonic(), file=starts)
    raise RuntimeError("cannot start")

Supervisor([os.environ["LISTEN"]], make_app, 1).run()
"""


def test_a_worker_that_cannot_start_is_tried_again_after_growing_pauses(stack: RunningStack, directory: Path) -> None:
    """And in the pauses nothing is done: neither the log nor the CPU is filled."""
    starts = directory / "starts"
    starts.touch()
    environment = settings(stack, LISTEN=f"unix:{directory}/api.sock", WORKERS="1", STARTS=str(starts))
    instance = Instance(environment, directory / "log", ("-c", CANNOT_START))
    try:
        until(lambda: len(starts.read_text().split()) >= 3, say=instance.log)
        began, used = time.monotonic(), usage(instance.process.pid).cpu
        until(lambda: instance.log().count("the next starts in") >= 5, say=instance.log)
        spent, passed = usage(instance.process.pid).cpu - used, time.monotonic() - began

        times = [float(line) for line in starts.read_text().split()]
        pauses = [late - early for early, late in pairwise(times)]
        assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=False)), pauses
        assert spent < passed / 4
        assert instance.log().count("worker failed") == len(times) == 5
        assert "RuntimeError: cannot start" in instance.log()

        instance.process.terminate()
        assert instance.ended() == 0, "it does not stop in a pause"
    finally:
        instance.kill()


# SIGTERM


@pytest.mark.parametrize(
    ("listener", "number"),
    [(SHARED, signal.SIGTERM), (EACH, signal.SIGTERM), (TCP, signal.SIGTERM), (SHARED, signal.SIGINT)],
)
def test_an_idle_instance_stops_at_once(start: Start, listener: str, number: signal.Signals) -> None:
    instance = start(listener, SHUTDOWN_TIMEOUT="600")
    instance.ask("/health/ready")

    instance.process.send_signal(number)

    assert instance.ended() == 0
    assert not instance.workers()
    assert not instance.accepts()


@LISTENERS
def test_sigterm_finishes_the_request_in_flight_and_takes_no_other(
    start: Start, stack: RunningStack, listener: str
) -> None:
    """Nobody can connect any more, so that the load balancer goes to another instance instead of waiting."""
    instance = start(listener, **LONG_TIMEOUTS)
    until(lambda: len(instance.workers()) == 2)
    with ThreadPoolExecutor() as pool, table_held(stack) as root:
        answer = pool.submit(create, instance.client)
        until(lambda: root.waiting() == 1, say=instance.log)

        instance.process.terminate()
        until(lambda: len(instance.workers()) == 1, say=instance.log)  # the idle one has left
        closed = soon(lambda: not instance.accepts(), seconds=5)
        assert not answer.done()
        root.do("UNLOCK TABLES")

        created = answer.result(LONG)
    assert created.status == 201
    assert instance.ended() == 0
    assert stack.wire.ask("GET", created.headers["location"]).json() == created.json()
    assert closed, "somebody could still connect"


@SOCKETS
def test_requests_that_wait_in_the_queue_when_sigterm_comes_are_answered(
    start: Start, stack: RunningStack, listener: str
) -> None:
    """All of them, though all workers that could are busy when it comes."""
    instance = start(listener, WORKERS="1" if listener == SHARED else "2", **LONG_TIMEOUTS)
    count = 100
    with ThreadPoolExecutor() as pool, table_held(stack) as root:
        first = pool.submit(create, instance.client)
        until(lambda: root.waiting() == 1, say=instance.log)
        waiting = [instance.connect() for _ in range(count)]
        try:
            for number, connection in enumerate(waiting):
                path = "/contagem-pessoas" if number % 2 else "/health/live"
                connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())

            instance.process.terminate()
            until(lambda: not instance.accepts(), say=instance.log)
            root.do("UNLOCK TABLES")

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
        assert first.result(LONG).status == 201
    assert statuses == [200] * count
    assert instance.ended() == 0


@LISTENERS
def test_sigterm_ends_in_time_whatever_connections_stay_open(start: Start, listener: str) -> None:
    """Connections that have sent nothing or half a request, and those kept alive after an answer."""
    instance = start(listener, SHUTDOWN_TIMEOUT="0.5")
    request = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    connections = [(reach(address), sent) for sent in (b"", request[:9], request) * 4 for address in instance.addresses]
    try:
        for connection, sent in connections:
            connection.sendall(sent)
            if sent == request:
                assert connection.recv(9999).startswith(b"HTTP/1.1 200")
        assert instance.ask("/health/live").status == 200

        instance.process.terminate()

        assert instance.process.wait(10) == 0
        assert not instance.workers()
    finally:
        for connection, _ in connections:
            connection.close()


def test_sigterm_ends_in_time_whatever_mysql_does(start: Start, stack: RunningStack) -> None:
    instance = start(DB_TIMEOUT="60", SHUTDOWN_TIMEOUT="0.5")
    with ThreadPoolExecutor() as pool, table_held(stack) as root:
        answer = pool.submit(create, instance.client)
        until(lambda: root.waiting() == 1, say=instance.log)

        instance.process.terminate()

        assert instance.process.wait(10) == 0
        assert not instance.workers()
        assert isinstance(answer.exception(LONG), (OSError, http.client.HTTPException)), "an answer that is untrue"


# Supervisors that die


def test_workers_leave_when_their_supervisor_is_killed(start: Start) -> None:
    """In time, whatever connections stay open."""
    instance = start(SHUTDOWN_TIMEOUT="0.5")
    until(lambda: len(instance.workers()) == 2)
    with instance.connect() as kept:
        kept.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert kept.recv(9999).startswith(b"HTTP/1.1 200")

        instance.process.kill()
        instance.ended()

        until(lambda: not instance.workers(), seconds=10, say=lambda: "workers outlive their supervisor")


def test_workers_whose_supervisor_is_killed_finish_the_request_in_flight(start: Start, stack: RunningStack) -> None:
    instance = start(**LONG_TIMEOUTS)
    until(lambda: len(instance.workers()) == 2)
    with ThreadPoolExecutor() as pool, table_held(stack) as root:
        answer = pool.submit(create, instance.client)
        until(lambda: root.waiting() == 1, say=instance.log)

        instance.process.kill()
        instance.ended()
        until(lambda: len(instance.workers()) == 1, say=instance.log)
        root.do("UNLOCK TABLES")

        assert answer.result(LONG).status == 201
    until(lambda: not instance.workers())


@SOCKETS
def test_an_instance_that_stops_leaves_the_sockets_of_its_successor_alone(start: Start, listener: str) -> None:
    """A second instance on the same path takes it over, and the first one's end must not cut it off."""
    first = start(listener)
    second = start(listener)
    until(lambda: "serving on" in second.log())

    first.process.terminate()

    assert first.ended() == 0, first.log()
    assert second.accepts() == len(second.addresses), "the successor's socket is gone"
    assert second.ask("/health/live").status == 200


def test_an_instance_whose_socket_file_is_gone_stops_in_good_order(start: Start) -> None:
    """Whoever cleaned up the directory."""
    instance = start()
    Path(str(instance.addresses[0])).unlink()

    instance.process.terminate()

    assert instance.ended() == 0, instance.log()
    assert "Traceback" not in instance.log()


# MySQL that is not there, or is not ours


def test_an_instance_may_start_before_mysql(start: Start, stack: RunningStack, directory: Path) -> None:
    """It lives, says it is not ready, and is ready soon after MySQL's socket is there."""
    database = directory / "mysql.sock"
    instance = start(DB_SOCKET=str(database))

    assert instance.ask("/health/live").status == 200
    check_away(instance.ask("/health/ready"))
    check_away(instance.ask("/contagem-pessoas"))
    check_away(create(instance.client))

    database.symlink_to(stack.config.db_socket)

    until(lambda: instance.ask("/health/ready").status == 200, say=instance.log)
    until(lambda: create(instance.client).status == 201, say=instance.log)


@pytest.fixture
def other_database(root: Root) -> Iterator[str]:
    """Return a database like the service's, in which its account has the same rights."""
    name = f"other_{secrets.token_hex(4)}"
    root.do(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.pessoas LIKE rinha.pessoas")
    root.do(f"GRANT SELECT, INSERT ON {name}.pessoas TO 'rinha'@'%'")
    yield name
    root.do(f"REVOKE SELECT, INSERT ON {name}.pessoas FROM 'rinha'@'%'", f"DROP DATABASE {name}")


def test_an_instance_is_not_ready_for_another_schema(start: Start, root: Root, other_database: str) -> None:
    """Nor for a newer one; and it is as soon as the schema is its own."""
    root.do(f"ALTER TABLE {other_database}.pessoas COMMENT = 'schema 99'")
    instance = start(DB_NAME=other_database)

    assert instance.ask("/health/live").status == 200
    assert "schema 99" in check_away(instance.ask("/health/ready"))

    root.do(f"ALTER TABLE {other_database}.pessoas COMMENT = '{SCHEMA}'")

    assert instance.ask("/health/ready").status == 200


def test_an_instance_is_not_ready_without_its_table(start: Start, root: Root, other_database: str) -> None:
    root.do(f"DROP TABLE {other_database}.pessoas")
    instance = start(DB_NAME=other_database)

    assert instance.ask("/health/live").status == 200
    check_away(instance.ask("/health/ready"))

    root.do(f"CREATE TABLE {other_database}.pessoas LIKE rinha.pessoas")

    until(lambda: instance.ask("/health/ready").status == 200, say=instance.log)


# --healthcheck


def healthcheck(environment: dict[str, str]) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "service", "--healthcheck"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert done.stdout + done.stderr == ""
    return done.returncode


@LISTENERS
def test_the_healthcheck_of_a_ready_instance_exits_0(start: Start, stack: RunningStack, listener: str) -> None:
    instance = start(listener)

    assert healthcheck(settings(stack, LISTEN=instance.listen)) == 0


@pytest.mark.parametrize("listener", [EACH, TCP])
def test_the_healthcheck_without_an_instance_exits_1(stack: RunningStack, directory: Path, listener: str) -> None:
    assert healthcheck(settings(stack, LISTEN=listen(listener, directory))) == 1


def test_the_healthcheck_of_an_instance_that_is_not_ready_exits_1(start: Start, stack: RunningStack) -> None:
    instance = start(DB_SOCKET="/nowhere/mysql.sock")

    assert healthcheck(settings(stack, LISTEN=instance.listen)) == 1
