"""While InnoDB syncs its full-text cache to the index, no search misses a person."""

import os
import random
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import MySQLServer, connect_as_root
from service.config import Config
from service.store import PeopleStore
from tests.support.fulltext import last_synced, watch_syncs
from tests.support.people import new_person

pytestmark = [pytest.mark.faults, pytest.mark.long]

SYNCS = 4
LONGEST = 120  # seconds until the syncs have ended; a sync continues while many rows are inserted
READERS, WRITERS = 3, 2
DELAY = 10_000  # milliseconds by which the clock of the second writer's instance is late
CACHES = {"cache of a third": 32_000_000, "smallest cache": 1_600_000}  # bytes; InnoDB syncs at a tenth of them


@contextmanager
def often_syncing(path: Path, cache: int) -> Iterator[tuple[Config, int]]:
    """Run a MySQL with a smaller cache, which syncs each second or much more often; yield its process id."""
    directory = DataDirectory(path)
    directory.make()
    database = MySQLServer(directory)
    database.initialise(lambda line: None)
    server = subprocess.Popen([*database.command(), f"--innodb-ft-cache-size={cache}"])
    try:
        database.prepare(lambda: server.poll() is None)
        yield directory.config(db_timeout=10), server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


class Traffic:
    """Writers and readers of one MySQL: the people stored, the number of searches, and the people missed.

    Half of the people have ids of a late clock, so that the order of ids is not the order of commits.
    """

    def __init__(self, config: Config) -> None:
        self.stored: list[str] = []
        self.missed: list[str] = []
        self.searches = 0
        self._config = config
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def run_while(self, act: Callable[[], None]) -> None:
        """Write and search while `act` runs."""
        threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]
        threads += [threading.Thread(target=self._read, args=(seed,)) for seed in range(READERS)]
        for thread in threads:
            thread.start()
        try:
            act()
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def _write(self, number: int) -> None:
        store = PeopleStore(self._config)
        while not self._stopped.is_set():
            person = new_person(name=secrets.token_hex(40), skills=[secrets.token_hex(16) for _ in range(4)])
            if number % 2:
                late = int.from_bytes(person.id[:6]) - DELAY
                person = person._replace(id=late.to_bytes(6) + person.id[6:])
            store.add(person)
            self.stored.append(person.nickname)

    def _read(self, seed: int) -> None:
        store = PeopleStore(self._config)
        rng = random.Random(seed)
        while not self._stopped.is_set():
            if self.stored:
                nickname = rng.choice(self.stored[-2000:])
                found = [person.nickname for person in store.search(nickname)]
                with self._lock:
                    self.searches += 1
                if nickname not in found:
                    self.missed.append(nickname)


@pytest.mark.parametrize("cache", CACHES)
def test_no_person_is_missed_during_a_sync(tmp_path: Path, cache: str) -> None:
    wanted = SYNCS if cache == "cache of a third" else 50 * SYNCS
    synced = 0

    def wait() -> None:
        nonlocal synced
        synced = wait_for_syncs(config, wanted)

    with often_syncing(tmp_path, CACHES[cache]) as (config, _):
        traffic = Traffic(config)
        traffic.run_while(wait)

    stored = len(traffic.stored)
    print(f"{cache}: {synced} syncs, {stored} people, {traffic.searches} searches, {len(traffic.missed)} missed")
    assert traffic.missed == []
    assert synced >= (SYNCS if cache == "cache of a third" else 25 * SYNCS), f"of {stored} people"
    assert traffic.searches > 500


@pytest.mark.parametrize("cache", CACHES)
def test_no_person_is_missed_if_mysql_stops_during_a_sync(
    tmp_path: Path, cache: str, pytestconfig: pytest.Config
) -> None:
    """SIGSTOP in the middle of a sync lets an observation become seconds old."""
    rng = random.Random(pytestconfig.getoption("seed"))
    stops = 6 if pytestconfig.getoption("rounds") == 1 else 25

    def stop_and_continue() -> None:
        for _ in range(stops):
            time.sleep(rng.uniform(0.05, 1.0))
            os.kill(pid, signal.SIGSTOP)
            time.sleep(rng.choice((0.3, 0.6, 1.0, 3.0)))
            os.kill(pid, signal.SIGCONT)

    with often_syncing(tmp_path, CACHES[cache]) as (config, pid):
        traffic = Traffic(config)
        traffic.run_while(stop_and_continue)

    stored = len(traffic.stored)
    print(f"{cache}, stopped: {stored} people, {traffic.searches} searches, {len(traffic.missed)} missed")
    assert traffic.missed == []
    assert traffic.searches > 500


def wait_for_syncs(config: Config, count: int) -> int:
    """Return how many syncs have ended after `count` syncs or `LONGEST` seconds."""
    seen: set[tuple[object, ...]] = set()
    deadline = time.monotonic() + LONGEST
    with connect_as_root(Path(config.db_socket)) as connection, connection.cursor() as cursor:
        watch_syncs(cursor)
        while len(seen) <= count and time.monotonic() < deadline:
            time.sleep(0.02)
            seen.add(last_synced(cursor))
    return len(seen) - 1
