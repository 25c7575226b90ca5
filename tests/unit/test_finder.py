"""A search that reads its words twice misses nobody whom InnoDB hides for a moment: against a model of its index."""

import random
import re
from collections.abc import Sequence

import pytest

import service.finder
from service.database import Row
from service.errors import TookTooLong
from service.finder import WITNESS_AGE, WITNESS_HOLDS, Finder

LONGEST_GAP = WITNESS_AGE - 0.05  # seconds from the emptied cache to what was merged being seen
MERGES_APART = WITNESS_AGE + WITNESS_HOLDS + 0.1  # seconds from one emptied cache to the next, at least
SEARCHES = 3000
LETTERS = "рстуфхцчшщ"
ALWAYS: dict[str, Sequence[Row]] = {  # what the model answers to a statement with these words
    "JSON_TABLE": [(letter, f"{ord(letter):04X}") for letter in LETTERS],  # each is spelt as itself
    "information_schema": [("1000000",)],  # so many people that nobody scans
    "MIN(id)": [("0", "0")],  # between these the sample is taken
    "(SELECT busca": [("мммм",)],
}


class MergingIndex:
    """Twenty rows come a second; each is in the cache until that is emptied, and in the index a gap later.

    A search looks each word up in both, in either order, and time passes before each look. `service.finder` takes
    the model's time for the time.
    """

    bound = 900

    def __init__(self, choose: random.Random, ignored: int | None) -> None:
        self._choose = choose
        self._ignored = ignored
        self._merges: list[tuple[float, float]] = []  # when the cache is emptied, when its words are seen
        at = 1000.0
        while len(self._merges) < 20:
            at += choose.uniform(MERGES_APART, 2 * MERGES_APART)
            self._merges.append((at, at + choose.uniform(0.001, LONGEST_GAP)))
        self._came = [1000 + number / 20 for number in range(600)]
        self.now = choose.uniform(-0.2, 0.1) + choose.choice(self._merges[5:15])[0]

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def rows(self) -> int:
        """Return how many rows there are."""
        return sum(came <= self.now for came in self._came)

    def read(self, statement: str, values: Sequence[str] = ()) -> Sequence[Row]:
        for part, rows in ALWAYS.items():
            if part in statement:
                return rows
        if "MAX(id)" in statement:
            newest = self.rows() - 1
            older = [n for n in range(newest, newest - 40, -1) if identifier(self._came[n]) < values[0].upper()]
            return [(identifier(self._came[newest]),), *((identifier(self._came[n]) + name(n),) for n in older[:20])]
        words = re.findall('"(...)"', " ".join(values))
        if len(words) > 1 and self._ignored is not None:
            del words[self._ignored]
        found = {number for word in words for number in self._look_up(word)}
        people = [(name(number), f"{identifier(self._came[number])}\x1f{name(number)}") for number in found]
        if "id = X%s" in statement:
            return [(f"{int(name in values[0])}\x1f{person}",) for name, person in people]
        return [(person,) for _, person in people]

    def _look_up(self, word: str) -> list[int]:
        """Return the row that has the word, if it is in the cache or in the index at the moment of the look."""
        number = NUMBERS[word]
        emptied, seen = next(merge for merge in self._merges if merge[0] > self._came[number])
        found = False
        for place in self._choose.sample(("cache", "index"), 2):
            self.now += self._choose.choice((0, 0, 0.001, 0.01, 0.1))
            found = found or (self._came[number] <= self.now < emptied if place == "cache" else seen <= self.now)
        return [number] if found else []


def identifier(came: float) -> str:
    return f"{int(came * 1000):012X}".ljust(32, "0")


def name(number: int) -> str:
    return "".join(LETTERS[number // 10**place % 10] for place in (2, 1, 0))


NUMBERS = {name(number): number for number in range(600)}


def test_a_witness_that_is_never_found_ends_the_search_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    index = MergingIndex(random.Random(1), None)
    monkeypatch.setattr(service.finder, "time", index)
    monkeypatch.setattr(index, "_look_up", lambda word: [])
    started = index.now

    with pytest.raises(TookTooLong):
        Finder(index).find("рст")  # type: ignore[arg-type]

    assert index.now - started < 1


def missed(monkeypatch: pytest.MonkeyPatch, ignored: int | None = None) -> int:
    """Return how many searches, of many at all moments of merges, do not find their row.

    Of the words term, witness, term, one may be `ignored`.
    """
    choose = random.Random(20261122)
    count = 0
    for _ in range(SEARCHES // 3):
        index = MergingIndex(choose, ignored)
        monkeypatch.setattr(service.finder, "time", index)
        finder = Finder(index)  # type: ignore[arg-type]
        for _ in range(3):
            number = index.rows() - choose.randint(1, 60)
            count += not any(name(number) in person for (person,) in finder.find(name(number)))
            index.sleep(choose.uniform(0, 0.2))
    return count


def test_nobody_is_missed_while_the_index_is_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missed(monkeypatch) == 0


@pytest.mark.parametrize("ignored", [0, 2])
def test_the_judge_sees_that_the_words_are_read_only_once(ignored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert missed(monkeypatch, ignored) > 10


def test_the_judge_sees_a_witness_of_the_next_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.finder, "WITNESS_AGE", 0)

    assert missed(monkeypatch) > 10


def test_the_judge_sees_a_search_without_a_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.finder, "MERGE_OVER", 0)

    assert missed(monkeypatch) > 10
