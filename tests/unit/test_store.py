"""Retry-After of refused searches grows with their number."""

from collections.abc import Iterator

import pytest

from service.config import Config
from service.errors import SearchTimeout, Unavailable
from service.store import MAX_RETRY_AFTER, PeopleStore


def retry_afters(monkeypatch: pytest.MonkeyPatch, outcomes: str) -> Iterator[int]:
    """Yield the Retry-After of each search that is refused (x); other searches succeed."""
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


def test_retry_after_doubles_with_each_refused_search_up_to_its_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(retry_afters(monkeypatch, "xxxxxxxx")) == [1, 2, 4, 8, 16, 32, 32, 32]
    assert list(retry_afters(monkeypatch, "x" * 1000))[-1] == MAX_RETRY_AFTER


def test_a_search_that_succeeds_resets_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(retry_afters(monkeypatch, "xxx.xx")) == [1, 2, 4, 1, 2]
