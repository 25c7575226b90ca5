"""A search that evaluates its term twice, and canary rows in between, misses no row that a sync hides."""

import random
from contextlib import suppress

import pytest

import service.gate
import service.sync_guard
from service.errors import SearchTimeout
from service.finder import Finder
from service.search import SearchPlan
from tests.support.index_model import (
    SITUATIONS,
    Index,
    Situation,
    after_silence,
    count_misses,
    name_of,
    steadily,
    use_model_time,
)

IN_DEFAULT_RUN = {"steady", "full speed", "some large rows", "five alphabets"}


@pytest.mark.parametrize(
    "situation",
    [pytest.param(name, marks=[pytest.mark.long] * (name not in IN_DEFAULT_RUN)) for name in SITUATIONS],
)
def test_no_person_is_missed_during_a_sync(situation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_misses(monkeypatch, SITUATIONS[situation]) == 0


def count_misses_beside_canary_rows_with_the_term(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the misses among 6,000 searches for rows of syncs that have rows of two alphabets."""
    situation = Situation(steadily(3000, 100), writing=0.1, codes=130_000, echo=200)
    # As many rows as elsewhere, whose number of codes is that of their characters.
    monkeypatch.setattr(service.sync_guard, "MAX_NEW_CODES", service.sync_guard.MAX_NEW_CODES * situation.codes // 100)
    return count_misses(monkeypatch, situation, seeds=20)


@pytest.mark.long
def test_no_person_is_missed_if_canary_rows_of_another_alphabet_have_the_term(monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_misses_beside_canary_rows_with_the_term(monkeypatch) == 0


@pytest.mark.long
def test_the_model_finds_misses_if_a_canary_row_with_the_term_stands_for_all_alphabets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SearchPlan, "may_match", lambda plan, search_key: False)

    assert count_misses_beside_canary_rows_with_the_term(monkeypatch) > 3


def test_no_person_is_missed_if_a_worker_pauses_while_writes_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    misses = 0
    for seed in range(300):
        index = Index(random.Random(seed), Situation(after_silence, writing=0.1, codes=100, pause=0.08))
        use_model_time(monkeypatch, index)
        finder = Finder(index)  # type: ignore[arg-type]
        for index.now in (1.0, 99.99):  # before and at the end of the silence
            with suppress(SearchTimeout):  # answered 503, which is no miss
                misses += finder.find(name_of(1)) != [(name_of(1),)]

    assert misses == 0


def test_a_search_whose_canary_rows_are_never_found_falls_back_to_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan needs no canary rows."""
    index = Index(random.Random(1), SITUATIONS["steady"])
    use_model_time(monkeypatch, index)
    monkeypatch.setattr(index, "look_up", lambda ngram: [])
    index.now = started = index.server.times[-1]

    assert Finder(index).find(name_of(1)) == [(name_of(1),)]  # type: ignore[arg-type]
    assert index.now - started < 0.5


def test_a_search_whose_canary_rows_may_have_been_deleted_falls_back_to_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(random.Random(1), SITUATIONS["steady"])
    use_model_time(monkeypatch, index)
    monkeypatch.setattr(index, "look_up", lambda ngram: pytest.fail("the index was used"))
    index.now = index.server.times[-1]
    for remaining in (0, max(service.gate.CANARY_DISTANCES)):
        index.deleted = len(index.server.canaries) - remaining
        assert Finder(index).find(name_of(1)) == [(name_of(1),)]  # type: ignore[arg-type]


@pytest.mark.parametrize("ignored", [0, -1])
def test_the_model_finds_misses_if_the_term_is_evaluated_once(ignored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_misses(monkeypatch, SITUATIONS["steady"], ignored) > 10


@pytest.mark.parametrize(
    ("situation", "behind"),
    [("full speed", (0,)), ("a sync after two rows", (36,)), ("bursts of 3,000 rows", (1000,))],
)
def test_the_model_finds_misses_with_canary_rows_of_another_sync(
    situation: str, behind: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.gate, "CANARY_DISTANCES", behind)

    assert count_misses(monkeypatch, SITUATIONS[situation]) > 10


def test_the_model_finds_misses_if_an_alphabet_that_innodb_holds_back_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service.gate, "CACHE_SIZE", 0)

    assert count_misses(monkeypatch, SITUATIONS["thirteen alphabets, of which InnoDB may hold back two"]) > 2


def test_the_model_finds_misses_without_canary_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.sync_guard, "QUIET_PERIOD", -1)

    assert count_misses(monkeypatch, SITUATIONS["steady"]) > 10
