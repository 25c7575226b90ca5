"""A search that needs more memory than MySQL gives to a statement uses fewer n-grams, or a scan."""

import secrets
from collections.abc import Iterator

import pytest

from service.person import new_id
from service.store import PeopleStore
from tests.support.mysql import fetch_row, root_cursor
from tests.support.oracle import plan_without_sample
from tests.support.stack import RunningStack

ROWS = 3000  # whose postings of one n-gram need more than 1 MB, the smallest limit of MySQL


@pytest.fixture
def mark() -> str:
    return secrets.token_hex(4)


@pytest.fixture
def store(operator_stack: RunningStack, mark: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PeopleStore]:
    """Yield the store of a MySQL that gives a search little memory and has many rows with one name."""
    monkeypatch.setattr("service.finder.plan_search", plan_without_sample)
    with root_cursor(operator_stack) as cursor:
        cursor.executemany(
            "INSERT INTO pessoas (id, apelido, nome, nascimento) VALUES (%s, %s, 'Xylophon', '2000-01-01')",
            [(new_id(), f"xylo{number}x{mark}") for number in range(ROWS)],
        )
        (limit,) = fetch_row(cursor, "SELECT @@innodb_ft_result_cache_limit")
        cursor.execute("SET GLOBAL innodb_ft_result_cache_limit = 1000000")
        yield PeopleStore(operator_stack.config)
        cursor.execute("SET GLOBAL innodb_ft_result_cache_limit = %s", (limit,))


def test_a_scan_answers_if_every_ngram_needs_too_much_memory(store: PeopleStore) -> None:
    _, steps, people = store.explain("xylophon")

    assert ["MATCH" in step.statement for step in steps] == [True] * 4 + [False]
    assert [step.rows for step in steps] == [None] * 4 + [50]
    assert len(people) == 50


def test_a_single_ngram_answers_if_several_need_too_much_memory(store: PeopleStore, mark: str) -> None:
    nickname = f"xylo{ROWS - 1}x{mark}"

    _, steps, people = store.explain(nickname)

    assert all("MATCH" in step.statement for step in steps)
    assert steps[0].rows is None
    assert [person.nickname for person in people] == [nickname]
