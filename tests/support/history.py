"""The checker of every fault test: it compares what clients were told with the rows of the table.

Clients write, read and search while a fault happens. Each request and its answer is an Event, and `check_history`
compares the events with the rows.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

from service.person import Dialect, Person, parse_id
from tests.support.client import Answer

NO_PERSON = Person(b"", "", "", "", None)  # of the event of a count


class Action(Enum):
    """The kinds of requests."""

    CREATE = "create"
    READ = "read"
    SEARCH = "search"
    COUNT = "count"


class Event(NamedTuple):
    """A request about `person` and its answer; None and the error if the connection failed.

    The person of a creation is as it was sent, without an id. That of a read is as it was acknowledged.
    A `calm` request was sent while there was no fault, so it may not fail.
    """

    action: Action
    dialect: Dialect
    person: Person
    started: float
    ended: float
    answer: Answer | None
    error: str = ""
    calm: bool = False

    @property
    def status(self) -> int:
        """The status of the answer, 0 without an answer."""
        return self.answer.status if self.answer else 0

    def __str__(self) -> str:
        result = f"{self.status} {self.answer.body[:200]!r}" if self.answer else self.error
        seconds = self.ended - self.started
        return f"{self.action.value} {self.person.nickname} at {self.started:.3f}, {seconds:.3f} s: {result}"


class CheckResult(NamedTuple):
    """The figures of a history, and three lists of violations."""

    requests: int
    acknowledged: int
    unavailable: int
    cut: int
    slowest: float
    lost: list[str]
    doubled: list[str]
    false_answers: list[str]

    @property
    def violations(self) -> tuple[list[str], list[str], list[str]]:
        """The lost people, the doubled people and the false answers."""
        return self.lost, self.doubled, self.false_answers


NO_VIOLATIONS: tuple[list[str], list[str], list[str]] = ([], [], [])


def acknowledged_person(event: Event) -> Person:
    """Return the person that a 201 acknowledges, with the id of its Location; b"" for an invalid Location."""
    assert event.answer
    path, _, identifier = event.answer.headers.get("location", "").rpartition("/")
    return event.person._replace(id=parse_id(identifier) or b"" if path == event.dialect.people else b"")


def check_history(
    history: Sequence[Event], table: Sequence[Person], *, before: int = 0, may_fail: bool = True, may_cut: bool = False
) -> CheckResult:
    """Compare the answers with the rows that were added to the `before` rows from before the history.

    A request may be answered 503 if `may_fail`, and its connection may fail if `may_cut`; not if it was calm.
    """
    creations = [event for event in history if event.action is Action.CREATE]
    lost, doubled, false_answers = _compare(creations, table)
    answers = _Answers(creations, before, doubled)
    for event in history:
        problem = _failure(event, may_fail and not event.calm, may_cut and not event.calm)
        if problem is None:
            problem = answers.problem(event)
        if problem:
            false_answers.append(f"{problem}: {event}")
    return CheckResult(
        requests=len(history),
        acknowledged=len(answers.acknowledged),
        unavailable=sum(event.status == 503 for event in history),
        cut=sum(not event.answer for event in history),
        slowest=max((event.ended - event.started for event in history), default=0),
        lost=lost,
        doubled=doubled,
        false_answers=false_answers,
    )


def _compare(creations: Sequence[Event], table: Sequence[Person]) -> tuple[list[str], list[str], list[str]]:
    """Return the lost people, the doubled people, and the creations and rows that contradict each other."""
    lost: list[str] = []
    false_answers: list[str] = []
    rows: dict[str, list[Person]] = defaultdict(list)
    attempts: dict[str, list[Event]] = defaultdict(list)
    for row in table:
        rows[row.nickname].append(row)
    for event in creations:
        attempts[event.person.nickname].append(event)
    doubled = [f"{len(found)} rows of {nickname}" for nickname, found in rows.items() if len(found) > 1]
    if len({row.id for row in table}) < len(table):
        doubled.append("two rows have one id")
    false_answers += [f"a row that no client sent: {nickname}" for nickname in rows.keys() - attempts.keys()]
    for nickname, tries in attempts.items():
        stored, promised = rows[nickname], [acknowledged_person(event) for event in tries if event.status == 201]
        if len(promised) > 1:
            doubled.append(f"{len(promised)} answers of 201 for {nickname}")
        lost += _lost(promised, stored)
        false_answers += _changed(promised, stored) if promised else _partial_rows(tries, stored)
        false_answers += _wrong_conflicts(tries, stored)
    return lost, doubled, false_answers


def _lost(promised: Sequence[Person], stored: Sequence[Person]) -> list[str]:
    """Return the acknowledged people whose ids no row has."""
    ids = [row.id for row in stored]
    return [f"{one.nickname}, acknowledged as {one.id.hex()}" for one in promised if one.id not in ids]


def _changed(promised: Sequence[Person], stored: Sequence[Person]) -> list[str]:
    """Return the acknowledged people whose rows differ from what was acknowledged."""
    ids = [row.id for row in stored]
    return [
        f"{one.nickname} is not as it was acknowledged: {stored}"
        for one in promised
        if one.id in ids and one not in stored
    ]


def _partial_rows(tries: Sequence[Event], stored: Sequence[Person]) -> list[str]:
    """Return the rows of an unacknowledged person that differ from everything that was sent."""
    sent = [event.person for event in tries if event.status in (0, 503)]
    return [f"{row.nickname} is neither whole nor absent: {row}" for row in stored if _without_id(row) not in sent]


def _wrong_conflicts(tries: Sequence[Event], stored: Sequence[Person]) -> list[str]:
    """Return the answers of 422 for a nickname that no other request can have taken."""
    found = []
    for event in tries:
        others = [
            other.person
            for other in tries
            if other is not event and other.started < event.ended and other.status in (0, 201, 503)
        ]
        if event.status == 422 and not any(_without_id(row) in others for row in stored):
            found.append(f"taken by no other request: {event}")
    return found


def _without_id(row: Person) -> Person:
    return row._replace(id=b"")


def _failure(event: Event, may_fail: bool, may_cut: bool) -> str | None:
    """Return the problem of a request that failed, "" for a permitted failure, None if it did not fail."""
    if event.answer is None:
        return "" if may_cut else "the connection failed"
    if event.status != 503:
        return None
    if not may_fail:
        return "unavailable"
    if not event.answer.headers.get("retry-after", "").isdigit():
        return "no Retry-After"
    if event.answer.headers.get("content-type") != "application/problem+json":
        return "no problem+json"
    return ""


class _Answers:
    """Finds what is wrong with answers, from the creations of the same history."""

    def __init__(self, creations: Sequence[Event], before: int, doubled: list[str]) -> None:
        self.acknowledged = {event.person.nickname: event for event in creations if event.status == 201}
        self._before = before
        self._doubled = doubled
        self._promised_at = sorted(event.ended for event in self.acknowledged.values())
        self._sent_at = sorted(event.started for event in creations)

    def problem(self, event: Event) -> str:
        """Return what is wrong with an answer, "" if nothing is."""
        problems = {
            Action.CREATE: _creation_problem,
            Action.READ: _read_problem,
            Action.SEARCH: self._search_problem,
            Action.COUNT: self._count_problem,
        }
        return problems[event.action](event)

    def _search_problem(self, event: Event) -> str:
        if event.status != 200:
            return "a wrong status"
        found = _document(event)
        nicknames = [person.get(event.dialect.nickname) for person in found]
        if len(nicknames) > 1:
            self._doubled.append(f"found {len(nicknames)} times: {event}")
        promise = self.acknowledged.get(event.person.nickname)
        if promise and (found or promise.ended <= event.started):
            return "" if acknowledged_person(promise).document(event.dialect) in found else "not found"
        return "" if set(nicknames) <= {event.person.nickname} else "another person found"

    def _count_problem(self, event: Event) -> str:
        assert event.answer
        if event.status != 200 or not event.answer.body.isdigit():
            return "a wrong status"
        least = self._before + bisect_right(self._promised_at, event.started)
        most = self._before + bisect_right(self._sent_at, event.ended)
        return "" if least <= int(event.answer.body) <= most else f"not from {least} to {most}"


def _creation_problem(event: Event) -> str:
    if event.status == 422:
        return "" if _document(event).get("field") == event.dialect.nickname else "refused for no reason"
    if event.status != 201:
        return "a wrong status"
    person = acknowledged_person(event)
    return "" if person.id and _document(event) == person.document(event.dialect) else "another person acknowledged"


def _read_problem(event: Event) -> str:
    if event.status != 200:
        return "an acknowledged id is unknown"
    return "" if _document(event) == event.person.document(event.dialect) else "another person read"


def _document(event: Event) -> Any:
    assert event.answer
    return event.answer.json()
