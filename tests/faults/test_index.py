"""Search finds every acknowledged person after any kill, however often InnoDB syncs its full-text index.

InnoDB keeps new n-grams in memory, and after a crash it reads the rows since its last sync again. These tests write so
much that syncs and kills meet. Then they look up every acknowledged person by id and by search, and compare the count.
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
from ops.system.processes import kill_group
from tests.support.faults import kill_all
from tests.support.observed_stack import ObservedStack, observed_stack
from tests.support.polling import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(3600)]

CLIENTS = 12
ROWS = 4000  # acknowledged people between two kills, at least
SMALL_CACHE = 1_600_000  # bytes, the least of InnoDB: it syncs at a tenth of them, after approximately ten people


class Acknowledged(NamedTuple):
    """A person by the answer of 201."""

    path: str
    nickname: str


class Audit(NamedTuple):
    """The result of the look-ups of all acknowledged people."""

    kills: int
    acknowledged: int
    lost: list[str]
    not_found: list[str]
    counted: int
    rows: int

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.acknowledged} acknowledged; lost by id {len(self.lost)}, "
            f"by search {len(self.not_found)}; count {self.counted}, rows {self.rows}"
        )


def kill_mysql(site: ObservedStack) -> None:
    victim = site.component("mysql")
    kill_group(victim)
    site.wait_for_component("mysql", victim)


def kill_everything(site: ObservedStack) -> None:
    kill_all(site, random.Random(1))


KILLS: dict[str, Callable[[ObservedStack], None]] = {"MySQL": kill_mysql, "everything": kill_everything}


@pytest.fixture(params=["small cache", "shipped cache"])
def site(request: pytest.FixtureRequest, pytestconfig: pytest.Config, tmp_path: Path) -> Iterator[ObservedStack]:
    """Yield a stack whose code has the smallest full-text cache, or the shipped one."""
    root = ROOT
    if request.param == "small cache":
        root = tmp_path / "root"
        for directory in ("bench", "db", "lb", "ops", "page", "service"):
            shutil.copytree(ROOT / directory, root / directory)
        shutil.copy(ROOT / "openapi.yaml", root)
        settings = root / "db/my.cnf"
        settings.write_text(settings.read_text().replace("= 80000000 ", f"= {SMALL_CACHE} "))
        assert str(SMALL_CACHE) in settings.read_text()
    elif pytestconfig.getoption("rounds") == 1:
        pytest.skip("syncs are too rare for one kill to meet one: --rounds 25 does it")
    with observed_stack(tmp_path / "data", root) as site:
        site.wait_for_service()
        yield site


@pytest.mark.parametrize("victim", KILLS)
def test_every_acknowledged_person_is_found_after_every_kill(
    site: ObservedStack, victim: str, pytestconfig: pytest.Config, record_property: Callable[[str, object], None]
) -> None:
    seed, rounds = pytestconfig.getoption("seed"), pytestconfig.getoption("rounds")
    people: list[Acknowledged] = []
    lost: list[str] = []
    not_found: list[str] = []
    for number in range(rounds):
        new = write(site, f"{seed}/{victim}/{number}", lambda: KILLS[victim](site))
        site.wait_for_service()
        lost_now, not_found_now = look_up(site, new)
        lost, not_found, people = lost + lost_now, not_found + not_found_now, people + new
    if rounds > 1:
        lost_later, not_found_later = look_up(site, people)
        lost, not_found = lost + lost_later, not_found + not_found_later

    count = int(site.stack.wire.request("GET", "/contagem-pessoas").body)
    audit = Audit(rounds, len(people), lost, not_found, count, site.count_rows())
    print(f"{victim}, {site.query('SELECT @@innodb_ft_cache_size')[0][0]} bytes of cache: {audit}")
    record_property("audit", str(audit))
    assert (audit.lost, audit.not_found) == ([], [])
    assert audit.counted == audit.rows
    assert audit.acknowledged >= rounds * ROWS


def write(site: ObservedStack, seed: str, kill: Callable[[], None]) -> list[Acknowledged]:
    """Create people with many clients, and kill after `ROWS` answers of 201; return the acknowledged people."""
    people: list[Acknowledged] = []
    stopped = threading.Event()

    def create(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", site.stack.port, timeout=20)
        for body in bodies(random.Random(f"{seed}/{number}").getrandbits(32)):
            if stopped.is_set():
                break
            try:
                connection.request("POST", "/pessoas", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                document = answer.read()
                if answer.status == 201:
                    people.append(Acknowledged(answer.headers["Location"], json.loads(document)["apelido"]))
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(0.05)
        connection.close()

    threads = [threading.Thread(target=create, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(people) >= ROWS, 120)
        kill()
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    return people


def bodies(seed: int) -> Iterator[str]:
    """Yield the contest's valid people whose nicknames are unique; their random text fills the cache."""
    for payload in payloads(seed, 100_000):
        if payload.status == CREATED and len(payload.document["apelido"]) > 12:
            yield payload.body


def look_up(site: ObservedStack, people: list[Acknowledged]) -> tuple[list[str], list[str]]:
    """Return the nicknames of the people that are not found by id, and by search."""
    lost: list[str] = []
    not_found: list[str] = []
    waiting: SimpleQueue[Acknowledged] = SimpleQueue()
    for person in people:
        waiting.put(person)

    def read() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", site.stack.port, timeout=20)
        with suppress(Empty):
            while True:
                person = waiting.get_nowait()
                if get(connection, person.path)[0] != 200:
                    lost.append(person.nickname)
                status, document = get(connection, f"/pessoas?t={person.nickname}")
                if status != 200 or person.nickname not in [found["apelido"] for found in json.loads(document)]:
                    not_found.append(f"{status} {person.nickname}")
        connection.close()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return lost, not_found


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    """Return status and body; repeat a request that is answered 503, which is possible just after a start."""
    for _ in range(20):
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 503:
            break
        time.sleep(0.1)
    return answer.status, body
