"""While InnoDB merges its cache of new words into the full-text index, no search misses anybody."""

import random
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from db.server import Database
from ops.folder import Folder
from service.config import Config
from service.store import PeopleStore
from tests.conftest import somebody

MERGES = 4
LONGEST = 120  # seconds in which they have ended: one goes on as long as many are inserted
READERS, WRITERS = 3, 2


@pytest.fixture
def often_merging(tmp_path: Path) -> Iterator[Config]:
    """A MySQL with a smaller cache, which merges every second or two under this load."""
    folder = Folder(tmp_path)
    folder.make()
    database = Database.of(folder, lambda line: None)
    database.initialise(lambda line: None)
    server = subprocess.Popen([*database.command(), "--innodb-ft-cache-size=32000000"])
    try:
        database.prepare(lambda: server.poll() is None)
        yield Config(db_socket=str(database.socket), db_password=database.password_file.read_text(), db_timeout=10)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


@pytest.mark.faults
def test_nobody_is_missed_while_the_index_is_merged(often_merging: Config) -> None:
    stored: list[str] = []
    missed: list[str] = []

    ended = threading.Event()

    def write() -> None:
        store = PeopleStore(often_merging)
        while not ended.is_set():
            person = somebody(name=secrets.token_hex(40), stack=[secrets.token_hex(16) for _ in range(4)])
            store.add(person)
            stored.append(person.nickname)

    def read(seed: int) -> None:
        store = PeopleStore(often_merging)
        choose = random.Random(seed)
        while not ended.is_set():
            if stored:
                nick = choose.choice(stored[-2000:])
                if nick not in (person.nickname for person in store.search(nick)):
                    missed.append(nick)

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    threads += [threading.Thread(target=read, args=(seed,)) for seed in range(READERS)]
    for thread in threads:
        thread.start()
    merged = wait_for_merges(often_merging)
    ended.set()
    for thread in threads:
        thread.join()

    assert missed == []
    assert merged >= MERGES, f"of {len(stored)} people"


def wait_for_merges(config: Config) -> int:
    """Return how many merges have ended, after so many or so long."""
    synced = set()
    until = time.monotonic() + LONGEST
    with pymysql.connect(unix_socket=config.db_socket, user="root", autocommit=True, ssl_disabled=True) as connection:
        root = connection.cursor()
        root.execute("SET GLOBAL innodb_ft_aux_table = 'rinha/pessoas'")
        while len(synced) <= MERGES and time.monotonic() < until:
            time.sleep(0.1)
            root.execute("SELECT value FROM information_schema.innodb_ft_config WHERE `key` = 'synced_doc_id'")
            synced.add(root.fetchone())
    return len(synced) - 1
