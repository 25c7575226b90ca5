"""While InnoDB merges its cache of new words into the full-text index, no search misses anybody."""

import random
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from db.server import Database
from ops.folder import Folder
from service.config import Config
from service.store import PeopleStore
from tests.conftest import somebody

PEOPLE = 6000  # five merges
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

    def write() -> None:
        store = PeopleStore(often_merging)
        while len(stored) < PEOPLE:
            person = somebody(name=secrets.token_hex(40), stack=[secrets.token_hex(16) for _ in range(4)])
            store.add(person)
            stored.append(person.nickname)

    def read(seed: int) -> None:
        store = PeopleStore(often_merging)
        choose = random.Random(seed)
        while len(stored) < PEOPLE:
            if stored:
                nick = choose.choice(stored[-2000:])
                if nick not in (person.nickname for person in store.search(nick)):
                    missed.append(nick)

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    threads += [threading.Thread(target=read, args=(seed,)) for seed in range(READERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(stored) >= PEOPLE, "a thread has failed"
    assert missed == []
    with pymysql.connect(unix_socket=often_merging.db_socket, user="root", ssl_disabled=True).cursor() as root:
        root.execute("SET GLOBAL innodb_ft_aux_table = 'rinha/pessoas'")
        root.execute("SELECT value FROM information_schema.innodb_ft_config WHERE `key` = 'synced_doc_id'")
        assert int(root.fetchone()[0]) > PEOPLE / 3, "nothing was merged meanwhile"  # type: ignore[index]
