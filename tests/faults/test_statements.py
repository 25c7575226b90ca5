"""At most one statement of each worker is alive in MySQL, also after a worker gave one up or was killed."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.search_storm import Requests, person, statements
from tests.support.mysql import root_cursor
from tests.support.observed_stack import ObservedStack, observed_stack
from tests.support.people import new_nickname

pytestmark = [pytest.mark.faults, pytest.mark.long]

BLOCKED = 4.0  # seconds, several times as long as a worker waits for a reply
CREATING_WORKERS = 4  # which serve all requests but searches


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ObservedStack]:
    with observed_stack(tmp_path) as site:
        site.wait_for_service()
        yield site


@contextmanager
def blocked_creations(site: ObservedStack) -> Iterator[None]:
    """Hold the gate, so that no INSERT ends before the service gives it up; MySQL waits for a minute."""
    with root_cursor(site.stack) as cursor:
        cursor.execute("SET GLOBAL innodb_lock_wait_timeout = 60")
        cursor.execute("BEGIN")
        cursor.execute("SELECT id FROM contagem FOR UPDATE")
        yield


def most_statements(site: ObservedStack, kill: bool) -> int:
    """Return the most statements of the service that were alive at once while creations were blocked."""
    end = time.monotonic() + BLOCKED
    requests = Requests()

    def create() -> None:
        while time.monotonic() < end:
            requests.send(f"127.0.0.1:{site.stack.port}", "POST", "/pessoas", person(new_nickname()))

    clients = [threading.Thread(target=create) for _ in range(3 * CREATING_WORKERS)]
    most = 0
    with blocked_creations(site):
        for client in clients:
            client.start()
        while time.monotonic() < end:
            most = max(most, statements(site.stack.directory))
            if kill:
                kill_workers(site)
                time.sleep(1)
            time.sleep(0.05)
    for client in clients:
        client.join()
    return most


def kill_workers(site: ObservedStack) -> None:
    """Kill all workers of all instances."""
    for pids in site.workers().values():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def test_a_statement_that_a_worker_gave_up_ends_before_its_next_statement(site: ObservedStack) -> None:
    assert 0 < most_statements(site, kill=False) <= CREATING_WORKERS
    site.wait_for_service()


def test_a_statement_of_a_killed_worker_ends_before_the_first_of_its_successor(site: ObservedStack) -> None:
    assert 0 < most_statements(site, kill=True) <= CREATING_WORKERS
    site.wait_for_service()
