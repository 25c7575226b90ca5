"""Whoever is acknowledged is found by search after any kill, however often InnoDB syncs its full-text index.

InnoDB keeps new words in memory and reads them again after a crash, from the rows that came after its last sync. These
tests write so much that syncs and kills meet, and then ask for every acknowledged person by id, by search and in the
count.
"""

import http.client
import json
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

import pytest

from bench.people import CREATED, payloads
from ops import ROOT
from tests.faults.test_kills import Site, kill_everything, kill_group, running, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

CLIENTS = 12
ROWS = 4000  # acknowledged people between two kills, at least
LONGEST = 60.0  # seconds in which they have come
SMALL_CACHE = 1_600_000  # the least that InnoDB takes: it syncs after a tenth of it, some ten people


class Told(NamedTuple):
    """What a 201 said."""

    path: str
    nickname: str


class Audit(NamedTuple):
    """What became of the acknowledged people."""

    kills: int
    acknowledged: int
    lost: list[str]
    not_found: list[str]
    count: int
    rows: int

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.acknowledged} acknowledged; lost by id {len(self.lost)}, "
            f"by search {len(self.not_found)}; count {self.count}, rows {self.rows}"
        )


def kill_and_await_mysql(site: Site) -> None:
    victim = site.component("mysql")
    kill_group(victim)
    until(lambda: site.component("mysql") != victim)


def kill_all(site: Site) -> None:
    kill_everything(site, random.Random(1))


KILLS: dict[str, Callable[[Site], None]] = {"MySQL": kill_and_await_mysql, "everything": kill_all}


@pytest.fixture(params=["small cache", "shipped cache"])
def site(request: pytest.FixtureRequest, pytestconfig: pytest.Config, tmp_path: Path) -> Iterator[Site]:
    """A stack of its own, of code with a cache of its own."""
    root = ROOT
    if request.param == "small cache":
        root = tmp_path / "root"
        for directory in ("bench", "db", "lb", "ops", "service", "tests"):
            shutil.copytree(ROOT / directory, root / directory)
        shutil.copy(ROOT / "openapi.yaml", root)
        settings = root / "db/my.cnf"
        settings.write_text(settings.read_text().replace("= 80000000 ", f"= {SMALL_CACHE} "))
        assert str(SMALL_CACHE) in settings.read_text()
    elif pytestconfig.getoption("rounds") == 1:
        pytest.skip("syncs are too rare for one kill to meet one: --rounds 25 does it")
    with running(tmp_path / "data", root) as site:
        site.await_service()
        yield site


@pytest.mark.parametrize("victim", KILLS)
def test_everybody_acknowledged_is_found_after_every_kill(
    site: Site, victim: str, pytestconfig: pytest.Config, record_property: Callable[[str, object], None]
) -> None:
    seed, rounds = pytestconfig.getoption("seed"), pytestconfig.getoption("rounds")
    everybody: list[Told] = []
    lost: list[str] = []
    not_found: list[str] = []
    for number in range(rounds):
        told = write(site, f"{seed}/{victim}/{number}", lambda: KILLS[victim](site))
        site.await_service()
        round_lost, round_not_found = ask_for(site, told)
        lost, not_found, everybody = lost + round_lost, not_found + round_not_found, everybody + told
    if rounds > 1:
        lost_since, not_found_since = ask_for(site, everybody)
        lost, not_found = lost + lost_since, not_found + not_found_since

    count, rows = int(site.stack.wire.ask("GET", "/contagem-pessoas").body), site.do("SELECT COUNT(*) FROM pessoas")
    audit = Audit(rounds, len(everybody), lost, not_found, count, rows[0][0])
    print(f"{victim}, {site.do('SELECT @@innodb_ft_cache_size')[0][0]} bytes of cache: {audit}")
    record_property("audit", str(audit))
    assert (audit.lost, audit.not_found) == ([], [])
    assert audit.count == audit.rows
    assert audit.acknowledged >= rounds * ROWS


def write(site: Site, seed: str, kill: Callable[[], None]) -> list[Told]:
    """Write from many clients and kill after `ROWS` answers of 201; return what all of them said."""
    told: list[Told] = []
    over = threading.Event()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", site.stack.port, timeout=20)
        for body in bodies(random.Random(f"{seed}/{number}").getrandbits(32)):
            if over.is_set():
                break
            try:
                connection.request("POST", "/pessoas", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                document = answer.read()
                if answer.status == 201:
                    told.append(Told(answer.headers["Location"], json.loads(document)["apelido"]))
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(0.05)
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(told) >= ROWS, LONGEST)
        kill()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    return told


def bodies(seed: int) -> Iterator[str]:
    """Yield the contest's valid people, with nicknames that nobody else has: random text, which fills the cache."""
    for payload in payloads(seed, 100_000):
        if payload.status == CREATED and len(payload.document["apelido"]) > 12:
            yield payload.body


def ask_for(site: Site, told: list[Told]) -> tuple[list[str], list[str]]:
    """Return the nicknames of those who are not found by id, and by search."""
    lost: list[str] = []
    not_found: list[str] = []
    waiting: SimpleQueue[Told] = SimpleQueue()
    for one in told:
        waiting.put(one)

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", site.stack.port, timeout=20)
        with suppress(Empty):
            while True:
                one = waiting.get_nowait()
                if get(connection, one.path)[0] != 200:
                    lost.append(one.nickname)
                status, document = get(connection, f"/pessoas?t={one.nickname}")
                if status != 200 or one.nickname not in [person["apelido"] for person in json.loads(document)]:
                    not_found.append(f"{status} {one.nickname}")
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return lost, not_found


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    """Return status and body; ask again if the answer is 503, which a search right after a start may be."""
    for _ in range(20):
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 503:
            break
        time.sleep(0.1)
    return answer.status, body
