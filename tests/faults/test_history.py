"""The checker of the fault tests finds each kind of false answer, made by hand, and accepts true answers."""

import json
from typing import Any

import pytest

from service.person import ENGLISH, OFFICIAL, Dialect, Person, format_id
from tests.support.client import Answer
from tests.support.history import NO_PERSON, Action, CheckResult, Event, check_history

ANA = Person(bytes(range(16)), "ana", "Ana", "2000-01-01", ["C#"])
BIA = ANA._replace(id=bytes(range(1, 17)), nickname="bia")
PROBLEM = {"content-type": "application/problem+json", "retry-after": "1"}


def answer(status: int, body: Any = "", **headers: str) -> Answer:
    return Answer(status, {**PROBLEM, **headers}, json.dumps(body).encode())


def create(status: int, person: Person = ANA, at: float = 1.0, dialect: Dialect = OFFICIAL, **fields: Any) -> Event:
    reply = answer(status)
    if status == 201:
        reply = answer(201, person.document(dialect), location=f"{dialect.people}/{format_id(person.id)}")
    if status == 422:
        reply = answer(422, {"field": dialect.nickname})
    sent = person._replace(id=b"")
    return Event(Action.CREATE, dialect, sent, at, at + 0.1, reply if status else None)._replace(**fields)


def read(status: int, body: Any, action: Action = Action.READ, at: float = 2.0) -> Event:
    return Event(action, OFFICIAL, ANA, at, at + 0.1, answer(status, body))


def search(*found: Person, at: float = 2.0) -> Event:
    return read(200, [person.document(OFFICIAL) for person in found], Action.SEARCH, at)


def count(number: int, at: float = 2.0) -> Event:
    return Event(Action.COUNT, OFFICIAL, NO_PERSON, at, at + 0.1, answer(200, number))


def counts(result: CheckResult) -> tuple[int, ...]:
    """Return the number of violations of each kind."""
    return tuple(map(len, result.violations))


@pytest.mark.parametrize(
    ("history", "table"),
    [
        ([create(201), read(200, ANA.document(OFFICIAL)), search(ANA), count(1)], [ANA]),
        ([create(201, dialect=ENGLISH)], [ANA]),
        ([create(503), search()], []),
        ([create(503), search(ANA)], [ANA]),
        ([create(0), search()], []),
        ([create(0), count(0), count(1)], [ANA]),
        ([create(503), create(422, at=2)], [ANA]),
        ([create(503), create(201, at=2)], [ANA]),
        ([create(0), create(422, ANA._replace(name="Ana 2"), at=2)], [ANA]),
        ([create(201), search(at=1.05), search(ANA, at=1.05), count(0, at=1.05)], [ANA]),
        ([create(201), read(503, "")], [ANA]),
    ],
)
def test_true_answers_are_accepted(history: list[Event], table: list[Person]) -> None:
    assert counts(check_history(history, table, may_cut=True)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("history", "table"),
    [
        ([create(201)], []),
        ([create(201)], [ANA._replace(id=BIA.id)]),
        ([create(201), create(201, BIA)], [BIA]),
    ],
)
def test_an_acknowledged_person_without_a_row_is_lost(history: list[Event], table: list[Person]) -> None:
    assert check_history(history, table).lost


@pytest.mark.parametrize(
    ("history", "table"),
    [
        ([create(201)], [ANA, ANA._replace(id=BIA.id)]),
        ([create(201), create(201, BIA)], [ANA, BIA._replace(id=ANA.id)]),
        ([create(201), create(201, at=2)], [ANA]),
        ([create(201), search(ANA, ANA)], [ANA]),
    ],
)
def test_a_person_stored_acknowledged_or_found_twice_is_doubled(history: list[Event], table: list[Person]) -> None:
    assert check_history(history, table).doubled


@pytest.mark.parametrize(
    ("history", "table"),
    [
        pytest.param([create(422)], [], id="taken without a row"),
        pytest.param([create(422)], [ANA], id="taken by the same request"),
        pytest.param([create(503, ANA._replace(name="Eva")), create(422, at=2)], [ANA], id="taken by another person"),
        pytest.param([create(422), create(503, at=2)], [ANA], id="taken by a later request"),
        pytest.param([create(422, answer=answer(422, {"field": "nome"}))], [], id="refused for another reason"),
        pytest.param([create(500)], [], id="a defect"),
        pytest.param([create(404)], [], id="no such path"),
        pytest.param([create(201, answer=answer(201, ANA.document(OFFICIAL)))], [ANA], id="no Location"),
        pytest.param([create(201, answer=create(201, BIA).answer)], [ANA], id="another person acknowledged"),
        pytest.param([create(201)], [ANA._replace(skills=None)], id="stored otherwise"),
        pytest.param([create(503)], [ANA._replace(skills=[])], id="stored in part"),
        pytest.param([create(0)], [ANA._replace(name="An")], id="stored cut off"),
        pytest.param([], [ANA], id="a row that no client sent"),
        pytest.param([create(503, answer=Answer(503, {"retry-after": "1"}, b""))], [], id="not a problem+json"),
        pytest.param([create(503, answer=answer(503, **{"retry-after": "soon"}))], [], id="no Retry-After"),
        pytest.param([create(503, calm=True)], [], id="unavailable without a fault"),
        pytest.param([create(0, calm=True)], [], id="cut without a fault"),
        pytest.param([create(201), read(404, "")], [ANA], id="unknown after 201"),
        pytest.param([create(201), read(200, BIA.document(OFFICIAL))], [ANA], id="another person read"),
        pytest.param([create(201), search()], [ANA], id="not found after 201"),
        pytest.param([create(201), search(BIA)], [ANA], id="another person found"),
        pytest.param([create(503), search(BIA)], [ANA], id="a person found by another term"),
        pytest.param([create(201), read(500, "", Action.SEARCH)], [ANA], id="a search that failed"),
        pytest.param([create(201), count(0)], [ANA], id="too few counted"),
        pytest.param([create(201), count(2)], [ANA], id="too many counted"),
        pytest.param([create(201), create(503, BIA, at=3), count(2)], [ANA, BIA], id="counted too early"),
        pytest.param([read(503, "", Action.COUNT)._replace(answer=answer(500))], [], id="a count that failed"),
    ],
)
def test_a_false_answer_is_found(history: list[Event], table: list[Person]) -> None:
    assert check_history(history, table, may_cut=True).false_answers


def test_a_failure_that_the_fault_does_not_excuse_is_a_false_answer() -> None:
    assert not check_history([create(503)], []).false_answers
    assert check_history([create(503)], [], may_fail=False).false_answers
    assert not check_history([create(0)], [], may_cut=True).false_answers
    assert check_history([create(0)], []).false_answers


def test_the_count_includes_the_rows_from_before_the_history() -> None:
    assert not check_history([create(201), count(8)], [ANA], before=7).false_answers
    assert check_history([create(201), count(1)], [ANA], before=7).false_answers


def test_the_figures_are_those_of_the_history() -> None:
    history = [create(201), create(503, BIA), create(0, BIA, at=2), search(ANA)._replace(ended=5.0)]

    result = check_history(history, [ANA], may_cut=True)

    assert result == CheckResult(4, 1, 1, 1, 3.0, [], [], [])
