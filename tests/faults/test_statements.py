"""At most one statement of each worker is alive in MySQL, whatever is given up and whoever is killed."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

from bench.search_storm import Requests, person, statements
from ops.stack.data_directory import DataDirectory
from tests.faults.test_kills import Site
from tests.support.people import nickname

pytestmark = pytest.mark.faults

HELD = 4.0  # seconds: several times as long as a worker waits for a reply


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.up()
    site.await_service()
    yield site
    site.down()


@contextmanager
def held(site: Site) -> Iterator[None]:
    """Hold the gate, so that no INSERT ends before it is given up; MySQL itself would wait for a minute."""
    site.do("SET GLOBAL innodb_lock_wait_timeout = 60")
    connection = pymysql.connect(unix_socket=site.stack.config.db_socket, user="root", database="rinha")
    with connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT id FROM contagem FOR UPDATE")
        yield


def most_statements(site: Site, workers: int, kill: bool) -> int:
    """Return how many statements of the service were alive at most while creations cannot end."""
    end = time.monotonic() + HELD
    requests = Requests()

    def create() -> None:
        while time.monotonic() < end:
            requests.send(f"127.0.0.1:{site.stack.port}", "POST", "/pessoas", person(nickname()))

    clients = [threading.Thread(target=create) for _ in range(3 * workers)]
    most = 0
    with held(site):
        for client in clients:
            client.start()
        while time.monotonic() < end:
            most = max(most, statements(DataDirectory(site.stack.data)))
            if kill:
                for pids in site.workers().values():
                    for pid in pids:
                        os.kill(pid, signal.SIGKILL)
                time.sleep(1)
            time.sleep(0.05)
    for client in clients:
        client.join()
    return most


def test_what_a_worker_gave_up_has_ended_before_it_asks_again(site: Site) -> None:
    workers = 4  # those that create people

    assert 0 < most_statements(site, workers, kill=False) <= workers
    site.await_service()


def test_what_a_killed_worker_asked_has_ended_before_its_successor_asks(site: Site) -> None:
    workers = 4

    assert 0 < most_statements(site, workers, kill=True) <= workers
    site.await_service()
