"""How long a client is told to wait after a search that was refused."""

from collections.abc import Iterator

import pytest

from service.config import Config
from service.errors import SearchTimeout, Unavailable
from service.store import MAX_RETRY_AFTER, PeopleStore


def waits(monkeypatch: pytest.MonkeyPatch, outcomes: str) -> Iterator[int]:
    """Yield what is said after each search that is refused (x); the others succeed."""
    store = PeopleStore(Config(db_password=""))
    for outcome in outcomes:

        def find(term: str, refused: bool = outcome == "x") -> list[str]:
            if refused:
                raise SearchTimeout
            return []

        monkeypatch.setattr(store._finder, "find", find)
        try:
            store.search("a")
        except Unavailable as error:
            yield error.retry_after


def test_the_more_searches_are_refused_the_longer_a_client_is_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(waits(monkeypatch, "xxxxxxxx")) == [1, 2, 4, 8, 16, 32, 32, 32]
    assert list(waits(monkeypatch, "x" * 1000))[-1] == MAX_RETRY_AFTER


def test_after_a_search_that_succeeds_all_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(waits(monkeypatch, "xxx.xx")) == [1, 2, 4, 1, 2]
