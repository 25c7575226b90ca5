"""While InnoDB syncs its cache of new words to the full-text index, no search misses anybody."""

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

import pymysql
import pytest

from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import MySQLServer
from service.config import Config
from service.store import PeopleStore
from tests.support.people import somebody

SYNCS = 4
LONGEST = 120  # seconds in which they have ended: one goes on as long as many are inserted
READERS, WRITERS = 3, 2
BEHIND = 10_000  # milliseconds that the clock of the second writer's instance is late
CACHES = {"cache of a third": 32_000_000, "smallest cache": 1_600_000}  # InnoDB syncs after a tenth of it


@contextmanager
def often_syncing(directory: Path, cache: int) -> Iterator[tuple[Config, int]]:
    """Run a MySQL with a smaller cache, which syncs every second or much more often under this load; yield its pid."""
    data = DataDirectory(directory)
    data.make()
    database = MySQLServer(data)
    database.initialise(lambda line: None)
    server = subprocess.Popen([*database.command(), f"--innodb-ft-cache-size={cache}"])
    try:
        database.prepare(lambda: server.poll() is None)
        password = data.password_file.read_text()
        yield Config(db_socket=str(data.mysql_socket), db_password=password, db_timeout=10), server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def search_while(config: Config, act: Callable[[], None]) -> tuple[int, int, list[str]]:
    """Write and search while `act` runs; return the people written, the searches, and who was missed.

    Half of the people have ids of a clock that is late, so that the order of ids is not that of arrival.
    """
    stored: list[str] = []
    missed: list[str] = []
    searched: list[int] = []
    ended = threading.Event()

    def write(number: int) -> None:
        store = PeopleStore(config)
        while not ended.is_set():
            person = somebody(name=secrets.token_hex(40), skills=[secrets.token_hex(16) for _ in range(4)])
            if number % 2:
                late = int.from_bytes(person.id[:6]) - BEHIND
                person = person._replace(id=late.to_bytes(6) + person.id[6:])
            store.add(person)
            stored.append(person.nickname)

    def read(seed: int) -> None:
        store = PeopleStore(config)
        choose = random.Random(seed)
        count = 0
        while not ended.is_set():
            if stored:
                nick = choose.choice(stored[-2000:])
                count += 1
                if nick not in (person.nickname for person in store.search(nick)):
                    missed.append(nick)
        searched.append(count)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    threads += [threading.Thread(target=read, args=(seed,)) for seed in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        act()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    return len(stored), sum(searched), missed


@pytest.mark.faults
@pytest.mark.parametrize("cache", CACHES)
def test_nobody_is_missed_while_the_index_is_synced(tmp_path: Path, cache: str) -> None:
    synced = 0

    def wait() -> None:
        nonlocal synced
        synced = wait_for_syncs(config, SYNCS if cache == "cache of a third" else 50 * SYNCS)

    with often_syncing(tmp_path, CACHES[cache]) as (config, _):
        stored, searched, missed = search_while(config, wait)

    print(f"{cache}: {synced} syncs, {stored} people, {searched} searches, {len(missed)} missed")
    assert missed == []
    assert synced >= (SYNCS if cache == "cache of a third" else 25 * SYNCS), f"of {stored} people"
    assert searched > 500


@pytest.mark.faults
@pytest.mark.parametrize("cache", CACHES)
def test_nobody_is_missed_when_mysql_stands_still_while_it_syncs(
    tmp_path: Path, cache: str, pytestconfig: pytest.Config
) -> None:
    """SIGSTOP in the middle of a sync: what was seen three seconds ago may have come after the cache was emptied."""
    choose = random.Random(pytestconfig.getoption("seed"))
    stops = 6 if pytestconfig.getoption("rounds") == 1 else 25

    def stop_and_go() -> None:
        for _ in range(stops):
            time.sleep(choose.uniform(0.05, 1.0))
            os.kill(pid, signal.SIGSTOP)
            time.sleep(choose.choice((0.3, 0.6, 1.0, 3.0)))
            os.kill(pid, signal.SIGCONT)

    with often_syncing(tmp_path, CACHES[cache]) as (config, pid):
        stored, searched, missed = search_while(config, stop_and_go)

    print(f"{cache}, stopped: {stored} people, {searched} searches, {len(missed)} missed")
    assert missed == []
    assert searched > 500


def wait_for_syncs(config: Config, count: int) -> int:
    """Return how many syncs have ended, after so many or so long."""
    synced = set()
    until = time.monotonic() + LONGEST
    with pymysql.connect(unix_socket=config.db_socket, user="root", autocommit=True, ssl_disabled=True) as connection:
        root = connection.cursor()
        root.execute("SET GLOBAL innodb_ft_aux_table = 'rinha/pessoas'")
        while len(synced) <= count and time.monotonic() < until:
            time.sleep(0.02)
            root.execute("SELECT value FROM information_schema.innodb_ft_config WHERE `key` = 'synced_doc_id'")
            synced.add(root.fetchone())
    return len(synced) - 1
