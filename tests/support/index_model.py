"""A model of InnoDB's full-text index, in which time passes before each look-up.

The finder searches the model at all moments of syncs. Tests of the real index are in tests/faults.
"""

import random
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pytest

import service.finder
import service.sync_guard
import service.timed_reader
from service.database import Row
from service.errors import SearchTimeout
from service.finder import Finder
from service.search_key import ALPHABET_STARTS, canary_key, in_first_alphabet, newest_alphabet

SEARCHES = 300  # of each situation and seed
SEEDS = 5
CANARY_STEP = 8000  # the row with each character of such a number is a canary row, as db/schema.sql has it
SYNCED_AT = 17_400  # characters of random text, 450 bytes each: with so many in its cache InnoDB begins a sync
CODES = [chr(0x0400 | bits) for bits in range(0x40, 0x70) if not bits & 0x10]  # of which names consist
ANSWERS: dict[str, Sequence[Row]] = {  # of the model to a statement with this text
    "JSON_TABLE": [(code, f"{ord(code):04X}") for code in CODES],  # each is encoded as itself
    "EXPLAIN": [("1000",) * 12],  # rows between any two ids
    "SELECT pessoas FROM": [("1000000",)],  # people, too many for a scan
    "MIN(id)": [("0", "0")],  # the range of the sample
    "(SELECT busca": [("ЀЀЀЀ",)],
}


class Arrival(NamedTuple):
    """A row that enters the cache at a time, in seconds, and its number of characters."""

    time: float
    characters: int


class Situation(NamedTuple):
    """How rows arrive, and what else happens: a sync writes, and then hides its rows, for some seconds at most.

    A disk that stalls delays a sync, and all INSERTs except one of each connection, whose row is not flushed yet.
    """

    arrivals: Callable[[random.Random], Iterator[Arrival]]
    writing: float = 0.3
    hiding: float = 0.02
    stalls: float = 0.0
    stop: float = 0.0
    moves: bool = False
    codes: int = 0  # that the gate counts for each row, if there are several alphabets
    pause: float = 0.0  # of the worker, between its statements
    block: int = 1  # rows of a transaction: none is visible before the last one has come
    echo: int = 0  # rows before and after each canary row whose names the canary row has, too


def steadily(rate: float, characters: int, count: int = 6000) -> Callable[[random.Random], Iterator[Arrival]]:
    def arrivals(rng: random.Random) -> Iterator[Arrival]:
        now = 0.0
        for _ in range(count):
            now += rng.expovariate(rate)
            yield Arrival(now, characters)

    return arrivals


def in_bursts(rng: random.Random) -> Iterator[Arrival]:
    """Yield 3,000 rows as fast as the gate admits them, then a few a second, as a replica that catches up does."""
    now = 0.0
    for burst in range(3):
        for _ in range(3000):
            now += 0.0003
            yield Arrival(now, 100)
        for _ in range(rng.randrange(20)):
            now += rng.uniform(0, 0.2)
            yield Arrival(now, 100)
        now += burst


def after_silence(rng: random.Random) -> Iterator[Arrival]:
    """Yield nearly as many rows as start a sync, and more after 100 s of silence."""
    for number in range(SYNCED_AT // 100 - 1):
        yield Arrival(number / 1000, 100)
    for number in range(1000):
        yield Arrival(100 + number / 1000, 100)


def some_large(rng: random.Random) -> Iterator[Arrival]:
    """Yield sixty rows a second, of which every tenth has 14,000 characters."""
    now = 0.0
    for _ in range(2000):
        now += rng.expovariate(60)
        yield Arrival(now, rng.choice((14_000, *(100,) * 9)))


SITUATIONS = {
    "steady": Situation(steadily(300, 100)),
    "full speed": Situation(steadily(3000, 100), writing=0.1),
    "slowly": Situation(steadily(5, 3000, 1000)),
    "bursts of 3,000 rows": Situation(in_bursts),
    "a sync after two rows": Situation(steadily(40, 14_000), writing=0.2),
    "some large rows": Situation(some_large, writing=0.2),
    "held by a stalled disk": Situation(steadily(300, 100), stalls=2.0),
    "MySQL stops for three seconds": Situation(steadily(300, 100), stop=3.0),
    "the connection moves to another server": Situation(steadily(300, 100), moves=True),
    "the worker pauses between its statements": Situation(steadily(3000, 100), writing=0.1, codes=100, pause=0.1),
    "blocks of 1,000 rows": Situation(steadily(25_000, 100, 40_000), codes=100, pause=0.02, block=1000),
    "five alphabets": Situation(steadily(300, 100), codes=20_000),
    "thirteen alphabets, of which InnoDB may hold back two": Situation(steadily(3000, 100), writing=0.1, codes=130_000),
}


class Server:
    """A table. Each row is in the cache until a sync empties it, and in the index once the sync is committed."""

    def __init__(self, rng: random.Random, situation: Situation) -> None:
        rows = list(situation.arrivals(rng))
        self.times = [row.time for row in rows]
        self._block = situation.block
        self.canaries: list[int] = []  # the numbers of the canary rows
        self.emptied: list[float] = []
        self.committed: list[float] = []
        characters = cached = 0
        for number, row in enumerate(rows):
            if (characters + row.characters) // CANARY_STEP > characters // CANARY_STEP:
                self.canaries.append(number)
            characters += row.characters
            if self.emptied and row.time < self.emptied[-1]:
                continue  # a sync includes the rows that come while it writes
            cached += row.characters
            if cached >= SYNCED_AT and (not self.committed or row.time > self.committed[-1]):
                self.emptied.append(row.time + rng.uniform(0.3, 1) * situation.writing)
                self.committed.append(self.emptied[-1] + rng.uniform(0.3, 1) * situation.hiding)
                cached = 0
        if situation.stalls:
            for emptied, committed in zip(self.emptied[-1::-3], self.committed[-1::-3], strict=True):
                self._stall(rng.uniform(emptied, committed), situation.stalls)

    def _stall(self, start: float, seconds: float) -> None:
        """Delay the rows after `start`, except those of eight connections."""
        first = bisect_right(self.times, start) + 8
        self.times[first:] = [time + seconds for time in self.times[first:]]
        for times in (self.emptied, self.committed):
            times[:] = [time + seconds * (time > start) for time in times]

    def is_visible(self, number: int, place: str, now: float) -> bool:
        """Return whether a row is visible, and in the cache or in the index."""
        if number >= self.newest(now)[0]:
            return False
        sync = bisect_left(self.emptied, self.times[number])
        if place == "cache":
            return self.times[number] <= now and (sync == len(self.emptied) or now < self.emptied[sync])
        return sync < len(self.committed) and self.committed[sync] <= now

    def newest(self, now: float) -> tuple[int, int]:
        """Return the number of visible rows and of visible canary rows."""
        rows = bisect_right(self.times, now) // self._block * self._block
        return rows, bisect_left(self.canaries, rows)


class Index:
    """The database and the clock of the finder; time passes before each look-up."""

    select_timeout_ms = 900

    def __init__(self, rng: random.Random, situation: Situation, ignored: int | None = None) -> None:
        self._rng = rng
        self._situation = situation
        self._ignored = ignored
        self.server = Server(rng, situation)
        self.connections = 1
        self.deleted = 0  # the greatest number of a deleted canary row
        self._stopped = 0.0
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now + self._stopped

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait_for_group(self) -> bool:
        return False

    def read(self, statement: str, values: Sequence[str] = ()) -> Sequence[Row]:
        for text, answer in ANSWERS.items():
            if text in statement:
                return answer
        self.now += self._rng.choice((0.0, self._situation.pause))
        self._pass_time()
        if "FROM contagem" in statement:
            rows, canaries = self.server.newest(self.now)
            return [(f"{rows} {canaries} {self.deleted} {rows * self._situation.codes}",)]
        if "MATCH" not in statement:  # a scan
            number = NUMBERS[values[0].strip("%")]
            return [(name_of(number),)] * (number < self.server.newest(self.now)[0])
        if self._situation.moves and not self._rng.randrange(3):
            self.connections += 1  # to a replica that has more rows, or fewer
            self.server = Server(self._rng, self._situation)
        ngrams = re.findall(r"\w{3}", next(value for value in values if "(" in value or "+" in value))
        if len(ngrams) > 1 and self._ignored is not None:
            del ngrams[self._ignored]
        found = {number for ngram in ngrams for number in self.look_up(ngram)}
        if "0xFFFFFFFF" not in statement:
            return [(name_of(number),) for number in found]
        term = values[0].strip("%")
        return [("\x1f".join(self._columns(number, term)),) for number in found]

    def _columns(self, number: int, term: str) -> list[str]:
        """Return the number of a canary row, the part of its search key that matters, and the row if it matches."""
        has_term = self._has_name(number, term)
        return [str(self._canary(number)), term * has_term, name_of(number) * has_term]

    def _canary(self, number: int) -> int:
        place = bisect_left(self.server.canaries, number)
        return place + 1 if number in self.server.canaries[place : place + 1] else 0

    def _has_name(self, number: int, name: str) -> bool:
        distance = abs(number - NUMBERS[name])
        return not distance or (distance <= self._situation.echo and bool(self._canary(number)))

    def look_up(self, ngram: str) -> list[int]:
        """Return the rows with the n-gram that the cache or the index has at the moment of the look-up."""
        name, canary = in_first_alphabet(ngram), CANARIES.get(ngram)
        if canary:
            numbers = self.server.canaries[canary - 1 : canary]
        else:
            numbers = self._rows_with(name, max(ord(ngram[0]) - 0x4C00 >> 9, 0))
        if not numbers:
            return []
        found = set()
        for place in self._rng.sample(("cache", "index"), 2):
            self._pass_time()
            found |= {number for number in numbers if self.server.is_visible(number, place, self.now)}
        return sorted(found)

    def _rows_with(self, name: str, alphabet: int) -> list[int]:
        number, echo = NUMBERS[name], self._situation.echo
        canaries = self.server.canaries
        near = canaries[bisect_left(canaries, number - echo) : bisect_right(canaries, number + echo)] if echo else []
        return [
            one
            for one in {number, *near}
            if one < len(self.server.times) and newest_alphabet(one * self._situation.codes) == alphabet
        ]

    def _pass_time(self) -> None:
        self.now += self._rng.choice((0, 0, 0, 0.0005, 0.002))
        if self._situation.stop and not self._rng.randrange(5):
            self._stopped += self._situation.stop


def use_model_time(monkeypatch: pytest.MonkeyPatch, index: Index) -> None:
    """Make the service take the time from the model."""
    for module in (service.finder, service.sync_guard, service.timed_reader):
        monkeypatch.setattr(module, "time", index)


def name_of(number: int) -> str:
    return "".join(CODES[number // len(CODES) ** place % len(CODES)] for place in (2, 1, 0))


NUMBERS = {name_of(number): number for number in range(len(CODES) ** 3)}
CANARIES = {canary_key(number): number for number in range(10_000)}


def count_misses(
    monkeypatch: pytest.MonkeyPatch, situation: Situation, ignored: int | None = None, seeds: int = SEEDS
) -> int:
    """Return how many searches miss a row that was stored earlier; the searches are at all moments of syncs.

    One of the three evaluations (term, canary rows, term) may be `ignored`.
    """
    count = 0
    for seed in range(seeds):
        rng = random.Random(seed)
        index = Index(rng, situation, ignored)
        use_model_time(monkeypatch, index)
        finder = Finder(index)  # type: ignore[arg-type]
        first = index.server
        for _ in range(SEARCHES):
            index.server = first
            wanted = _choose_search(rng, index, situation)
            started = index.now
            try:
                people = [person for (person,) in finder.find(name_of(wanted))]
            except SearchTimeout:  # answered 503, which is no miss
                continue
            count += name_of(wanted) not in people and wanted < index.server.newest(started)[0]
    return count


def _choose_search(rng: random.Random, index: Index, situation: Situation) -> int:
    """Set the clock to a moment of a sync; return the number of the row to search for."""
    server = index.server
    if situation.echo:  # a sync with rows of two alphabets
        starts = [start // situation.codes for start in ALPHABET_STARTS[1:] if start < 4000 * situation.codes]
        wanted = rng.choice(starts) + rng.randrange(-20, 20)
        sync = bisect_left(server.emptied, server.times[wanted])
    else:
        sync, wanted = rng.randrange(len(server.emptied) * 3 // 4), -1
    index.now = max(0.0, rng.uniform(server.emptied[sync] - 0.01, server.committed[sync]))
    if wanted < 0:
        rows, _ = server.newest(index.now)
        wanted = max(0, rows - 1 - rng.choice((0, 1, 2, rng.randrange(50), rng.randrange(2000))))
    return wanted
