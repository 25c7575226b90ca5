"""A search that reads its words twice, and canary rows between, misses nobody whom InnoDB hides for a moment.

Against a model of the index, in which time passes before each look; what the real one does is in tests/faults.
"""

import random
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pytest

import service.finder
import service.gate
import service.sync_guard
import service.timed_reader
from service.database import Row
from service.errors import SearchTimeout
from service.finder import Finder
from service.search_key import canary_key, in_first_alphabet, newest_alphabet

SEARCHES = 300  # of each situation and seed
SEEDS = 5
CANARY_STEP = 8000  # characters between two canary rows, as db/schema.sql has it
SYNCED_AT = 17_400  # characters of random text, 450 bytes each: with so many in its cache InnoDB begins a sync
LETTERS = [chr(0x0400 | bits) for bits in range(0x40, 0x70) if not bits & 0x10]  # of them names are made
ALWAYS: dict[str, Sequence[Row]] = {  # what the model answers to a statement with these words
    "JSON_TABLE": [(letter, f"{ord(letter):04X}") for letter in LETTERS],  # each is spelt as itself
    "EXPLAIN": [("1000",) * 12],  # so many rows are between any two ids
    "SELECT pessoas FROM": [("1000000",)],  # so many people that nobody scans
    "MIN(id)": [("0", "0")],  # between these the sample is taken
    "(SELECT busca": [("ЀЀЀЀ",)],
}


class Arrival(NamedTuple):
    """A row that is added to the cache at a time, in seconds, with its characters."""

    time: float
    characters: int


class Situation(NamedTuple):
    """How rows arrive; how long a sync writes, and hides its rows, in seconds at most; what else may happen.

    A disk that stalls holds a sync, and all INSERTs but one of each connection: its row is added and not yet flushed.
    """

    arrivals: Callable[[random.Random], Iterator[Arrival]]
    writing: float = 0.3
    hiding: float = 0.02
    stalls: float = 0.0
    stands_still: float = 0.0
    moves: bool = False
    letters: int = 0  # that the gate counts for each row, where there are several alphabets


def steadily(rate: float, characters: int, count: int = 6000) -> Callable[[random.Random], Iterator[Arrival]]:
    def arrivals(choose: random.Random) -> Iterator[Arrival]:
        now = 0.0
        for _ in range(count):
            now += choose.expovariate(rate)
            yield Arrival(now, characters)

    return arrivals


def in_bursts(choose: random.Random) -> Iterator[Arrival]:
    """3,000 rows, as fast as the gate lets them through, then a few a second: so does a replica that catches up."""
    now = 0.0
    for burst in range(3):
        for _ in range(3000):
            now += 0.0003
            yield Arrival(now, 100)
        for _ in range(choose.randrange(20)):
            now += choose.uniform(0, 0.2)
            yield Arrival(now, 100)
        now += burst


def some_large(choose: random.Random) -> Iterator[Arrival]:
    """Sixty rows a second, of which every tenth has 14,000 characters."""
    now = 0.0
    for _ in range(2000):
        now += choose.expovariate(60)
        yield Arrival(now, choose.choice((14_000, *(100,) * 9)))


SITUATIONS = {
    "steady": Situation(steadily(300, 100)),
    "as fast as it goes": Situation(steadily(3000, 100), writing=0.1),
    "slowly": Situation(steadily(5, 3000, 1000)),
    "bursts of 3,000 rows": Situation(in_bursts),
    "a sync after two rows": Situation(steadily(40, 14_000), writing=0.2),
    "some large rows": Situation(some_large, writing=0.2),
    "held by a stalled disk": Situation(steadily(300, 100), stalls=2.0),
    "MySQL stands still for three seconds": Situation(steadily(300, 100), stands_still=3.0),
    "the connection moves to another server": Situation(steadily(300, 100), moves=True),
    "five alphabets": Situation(steadily(300, 100), letters=20_000),
    "thirteen alphabets, of which InnoDB may hold back two": Situation(
        steadily(3000, 100), writing=0.1, letters=130_000
    ),
}


class Server:
    """A table whose rows are each in the cache until it is emptied, and in the index once the sync is committed."""

    def __init__(self, choose: random.Random, situation: Situation) -> None:
        rows = list(situation.arrivals(choose))
        self.times = [row.time for row in rows]
        self.canaries: list[int] = []  # which rows they are
        self.emptied: list[float] = []
        self.committed: list[float] = []
        characters = cached = 0
        for number, row in enumerate(rows):
            characters += row.characters
            if characters >= CANARY_STEP:
                self.canaries.append(number)
                characters = 0
            if self.emptied and row.time < self.emptied[-1]:
                continue  # a sync takes along what comes while it writes
            cached += row.characters
            if cached >= SYNCED_AT and (not self.committed or row.time > self.committed[-1]):
                self.emptied.append(row.time + choose.uniform(0.3, 1) * situation.writing)
                self.committed.append(self.emptied[-1] + choose.uniform(0.3, 1) * situation.hiding)
                cached = 0
        if situation.stalls:
            for emptied, committed in zip(self.emptied[-1::-3], self.committed[-1::-3], strict=True):
                self._stall(choose.uniform(emptied, committed), situation.stalls)

    def _stall(self, start: float, seconds: float) -> None:
        """Let what comes after `start` come later, but for the rows of eight connections."""
        first = bisect_right(self.times, start) + 8
        self.times[first:] = [time + seconds for time in self.times[first:]]
        for times in (self.emptied, self.committed):
            times[:] = [time + seconds * (time > start) for time in times]

    def is_visible(self, number: int, place: str, now: float) -> bool:
        """Tell whether a row is in the cache, or in the index."""
        sync = bisect_left(self.emptied, self.times[number])
        if place == "cache":
            return self.times[number] <= now and (sync == len(self.emptied) or now < self.emptied[sync])
        return sync < len(self.committed) and self.committed[sync] <= now

    def newest(self, now: float) -> tuple[int, int]:
        """Return how many rows and how many canary rows there are."""
        rows = bisect_right(self.times, now)
        return rows, bisect_left(self.canaries, rows)


class Index:
    """What the finder takes for the database, and for the time: it passes before each look."""

    select_timeout_ms = 900

    def __init__(self, choose: random.Random, situation: Situation, ignored: int | None = None) -> None:
        self._choose = choose
        self._situation = situation
        self._ignored = ignored
        self.server = Server(choose, situation)
        self.connections = 1
        self.deleted = 0  # the greatest number of a canary row that is gone
        self._stood_still = 0.0
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now + self._stood_still

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def read(self, statement: str, values: Sequence[str] = ()) -> Sequence[Row]:
        for part, rows in ALWAYS.items():
            if part in statement:
                return rows
        self._pass_time()
        if "FROM contagem" in statement:
            rows, canaries = self.server.newest(self.now)
            return [(f"{rows} {canaries} {self.deleted} {rows * self._situation.letters}",)]
        if "MATCH" not in statement:  # a scan
            number = NUMBERS[values[0].strip("%")]
            return [(name(number),)] * (number < self.server.newest(self.now)[0])
        if self._situation.moves and not self._choose.randrange(3):
            self.connections += 1  # to a replica that has more rows, or fewer
            self.server = Server(self._choose, self._situation)
        words = re.findall(r"\w{3}", next(value for value in values if "(" in value or "+" in value))
        if len(words) > 1 and self._ignored is not None:
            del words[self._ignored]
        found = {number for word in words for number in self._look_up(word)}
        if "0xFFFFFFFF" not in statement:
            return [(name(number),) for number in found]
        return [(f"{self._canary(number)}\x1f" + name(number) * (name(number) in values[0]),) for number in found]

    def _canary(self, number: int) -> int:
        place = bisect_left(self.server.canaries, number)
        return place + 1 if number in self.server.canaries[place : place + 1] else 0

    def _look_up(self, word: str) -> list[int]:
        """Return the row that has the word, if it is in the cache or in the index at the moment of the look."""
        number = NUMBERS.get(in_first_alphabet(word))
        if number is not None and newest_alphabet(number * self._situation.letters) != max(
            ord(word[0]) - 0x4C00 >> 9, 0
        ):
            return []  # its row has another alphabet
        if number is None:
            canary = CANARIES[word] - 1
            number = self.server.canaries[canary] if canary < len(self.server.canaries) else len(self.server.times)
        if number >= len(self.server.times):
            return []
        found = False
        for place in self._choose.sample(("cache", "index"), 2):
            self._pass_time()
            found = found or self.server.is_visible(number, place, self.now)
        return [number] if found else []

    def _pass_time(self) -> None:
        self.now += self._choose.choice((0, 0, 0, 0.0005, 0.002))
        if self._situation.stands_still and not self._choose.randrange(5):
            self._stood_still += self._situation.stands_still


def give_time(monkeypatch: pytest.MonkeyPatch, index: Index) -> None:
    """Let the service take the time from the model."""
    for module in (service.finder, service.sync_guard, service.timed_reader):
        monkeypatch.setattr(module, "time", index)


def name(number: int) -> str:
    return "".join(LETTERS[number // len(LETTERS) ** place % len(LETTERS)] for place in (2, 1, 0))


NUMBERS = {name(number): number for number in range(len(LETTERS) ** 3)}
CANARIES = {canary_key(number): number for number in range(10_000)}


def missed(monkeypatch: pytest.MonkeyPatch, situation: Situation, ignored: int | None = None) -> int:
    """Return how many searches, of many at all moments of syncs, do not find a row that was there before them.

    Of the words term, canaries, term, one may be `ignored`.
    """
    count = 0
    for seed in range(SEEDS):
        choose = random.Random(seed)
        index = Index(choose, situation, ignored)
        give_time(monkeypatch, index)
        finder = Finder(index)  # type: ignore[arg-type]
        first = index.server
        for _ in range(SEARCHES):
            index.server = first
            sync = choose.randrange(len(first.emptied) * 3 // 4)
            index.now = max(0.0, choose.uniform(first.emptied[sync] - 0.01, first.committed[sync]))
            rows, _ = first.newest(index.now)
            wanted = max(0, rows - 1 - choose.choice((0, 1, 2, choose.randrange(50), choose.randrange(2000))))
            started = index.now
            try:
                people = [person for (person,) in finder.find(name(wanted))]
            except SearchTimeout:  # answered 503, which is true
                continue
            count += name(wanted) not in people and wanted < index.server.newest(started)[0]
    return count


@pytest.mark.parametrize("situation", SITUATIONS)
def test_nobody_is_missed_while_the_index_is_synced(situation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert missed(monkeypatch, SITUATIONS[situation]) == 0


def test_a_search_whose_canary_rows_are_never_found_is_done_by_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not in the index, for whatever reason: the scan needs none."""
    index = Index(random.Random(1), SITUATIONS["steady"])
    give_time(monkeypatch, index)
    monkeypatch.setattr(index, "_look_up", lambda word: [])
    index.now = started = index.server.times[-1]

    assert Finder(index).find(name(1)) == [(name(1),)]  # type: ignore[arg-type]
    assert index.now - started < 0.5


def test_a_search_whose_canary_rows_may_have_been_deleted_is_done_by_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(random.Random(1), SITUATIONS["steady"])
    give_time(monkeypatch, index)
    monkeypatch.setattr(index, "_look_up", lambda word: pytest.fail("full text was asked"))
    index.now = index.server.times[-1]
    for still_there in (0, max(service.gate.CANARY_DISTANCES)):
        index.deleted = len(index.server.canaries) - still_there
        assert Finder(index).find(name(1)) == [(name(1),)]  # type: ignore[arg-type]


@pytest.mark.parametrize("ignored", [0, -1])
def test_the_checker_sees_that_the_words_are_read_only_once(ignored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert missed(monkeypatch, SITUATIONS["steady"], ignored) > 10


@pytest.mark.parametrize(
    ("situation", "behind"),
    [("as fast as it goes", (0,)), ("a sync after two rows", (36,)), ("bursts of 3,000 rows", (1000,))],
)
def test_the_checker_sees_canary_rows_of_another_sync(
    situation: str, behind: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.gate, "CANARY_DISTANCES", behind)

    assert missed(monkeypatch, SITUATIONS[situation]) > 10


def test_the_checker_sees_that_an_alphabet_that_innodb_holds_back_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.gate, "CACHE_SIZE", 0)

    assert missed(monkeypatch, SITUATIONS["thirteen alphabets, of which InnoDB may hold back two"]) > 2


def test_the_checker_sees_a_search_without_canary_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.sync_guard, "QUIET_PERIOD", -1)

    assert missed(monkeypatch, SITUATIONS["steady"]) > 10
