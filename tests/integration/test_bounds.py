"""A search that needs more memory than MySQL gives one is done by fewer pieces, or by a scan."""

import secrets
from collections.abc import Iterator

import pytest

from service.person import new_id
from service.store import PeopleStore
from tests.integration.test_search import knowing_nothing
from tests.support.operating import connected
from tests.support.stack import RunningStack

MANY = 3000  # entries of a list take more than 1 MB, which is the least that MySQL can be told


@pytest.fixture
def mark() -> str:
    return secrets.token_hex(4)


@pytest.fixture
def store(operated: RunningStack, mark: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PeopleStore]:
    """The store of a MySQL that gives a search little memory and has many rows with one name."""
    monkeypatch.setattr("service.finder.plan_search", knowing_nothing)
    with connected(operated) as cursor:
        cursor.executemany(
            "INSERT INTO pessoas (id, apelido, nome, nascimento) VALUES (%s, %s, 'Xylophon', '2000-01-01')",
            [(new_id(), f"xylo{number}x{mark}") for number in range(MANY)],
        )
        cursor.execute("SELECT @@innodb_ft_result_cache_limit")
        ((limit,),) = cursor.fetchall()
        cursor.execute("SET GLOBAL innodb_ft_result_cache_limit = 1000000")
        yield PeopleStore(operated.config)
        cursor.execute("SET GLOBAL innodb_ft_result_cache_limit = %s", (limit,))


def test_where_every_piece_needs_too_much_memory_a_scan_answers(store: PeopleStore) -> None:
    _, steps, people = store.explain("xylophon")

    assert ["MATCH" in step.statement for step in steps] == [True] * 4 + [False]
    assert [step.rows for step in steps] == [None] * 4 + [50]
    assert len(people) == 50


def test_where_one_piece_alone_fits_it_answers(store: PeopleStore, mark: str) -> None:
    nickname = f"xylo{MANY - 1}x{mark}"

    _, steps, people = store.explain(nickname)

    assert all("MATCH" in step.statement for step in steps)
    assert steps[0].rows is None
    assert [person.nickname for person in people] == [nickname]
