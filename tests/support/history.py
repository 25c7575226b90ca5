"""What clients were told, compared with what is there: the judge of every fault.

Clients write, read and search while something breaks. Every request and its answer is an Event, and
`judge` compares the events with the rows of the table.
"""

import http.client
import random
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import Enum
from types import TracebackType
from typing import Any, NamedTuple, Self

from service.person import ENGLISH, OFFICIAL, Dialect, Person, format_id, parse_id
from tests.support.client import Answer, OverTheWire, post

PATIENCE = 20.0  # seconds after which a client takes a request for hanging
DIALECTS = (OFFICIAL, ENGLISH)


class Action(Enum):
    CREATE = "create"
    READ = "read"
    SEARCH = "search"
    COUNT = "count"


class Event(NamedTuple):
    """A request about `person` and the answer to it; None and the error where the connection failed.

    The person of a creation is as it was sent, without an id; that of a read is as it was acknowledged.
    `calm` tells that nothing was broken at that time, so that the request may not fail.
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
        return self.answer.status if self.answer else 0

    def __str__(self) -> str:
        said = f"{self.status} {self.answer.body[:200]!r}" if self.answer else self.error
        lasted = self.ended - self.started
        return f"{self.action.value} {self.person.nickname} at {self.started:.3f}, {lasted:.3f} s: {said}"


class Verdict(NamedTuple):
    """What was found: the last three list what must not be."""

    requests: int
    acknowledged: int
    unavailable: int
    cut: int
    slowest: float
    lost: list[str]
    doubled: list[str]
    untrue: list[str]


def acknowledged(event: Event) -> Person:
    """Return the person that a 201 speaks of, with the id in its Location; b"" for a Location that is none."""
    assert event.answer
    path, _, identifier = event.answer.headers.get("location", "").rpartition("/")
    return event.person._replace(id=parse_id(identifier) or b"" if path == event.dialect.people else b"")


def judge(
    history: Sequence[Event], table: Sequence[Person], *, before: int = 0, may_fail: bool = True, may_cut: bool = False
) -> Verdict:
    """Compare what clients were told with the rows that came to be since there were `before` of them.

    A request may be answered 503 if `may_fail`, and its connection may fail if `may_cut`; not if it was calm.
    """
    creations = [event for event in history if event.action is Action.CREATE]
    told = {event.person.nickname: event for event in creations if event.status == 201}
    promised = sorted(event.ended for event in told.values())
    asked = sorted(event.started for event in creations)
    lost, doubled, untrue = _compare(creations, table)
    for event in history:
        failed = _failure(event, may_fail and not event.calm, may_cut and not event.calm)
        if failed is None:
            if event.action is Action.COUNT:
                least = before + bisect_right(promised, event.started)
                failed = _wrong_count(event, least, before + bisect_right(asked, event.ended))
            elif event.action is Action.SEARCH:
                failed = _wrong_search(event, told.get(event.person.nickname), doubled)
            elif event.action is Action.READ:
                failed = _wrong_read(event)
            else:
                failed = _wrong_creation(event)
        if failed:
            untrue.append(f"{failed}: {event}")
    return Verdict(
        len(history), len(told), sum(event.status == 503 for event in history),
        sum(not event.answer for event in history), max((event.ended - event.started for event in history), default=0),
        lost, doubled, untrue,
    )  # fmt: skip


def _compare(creations: Sequence[Event], table: Sequence[Person]) -> tuple[list[str], list[str], list[str]]:
    """Return who is lost, who is there twice, and what is there that was not to be."""
    lost, doubled, untrue = [], [], []
    rows, attempts = defaultdict(list), defaultdict(list)
    for row in table:
        rows[row.nickname].append(row)
    for event in creations:
        attempts[event.person.nickname].append(event)
    doubled += [f"{len(found)} rows of {nickname}" for nickname, found in rows.items() if len(found) > 1]
    if len({row.id for row in table}) < len(table):
        doubled.append("two rows have one id")
    untrue += [f"a row that nobody sent: {nickname}" for nickname in rows.keys() - attempts.keys()]
    for nickname, tries in attempts.items():
        there, promises = rows[nickname], [acknowledged(event) for event in tries if event.status == 201]
        if len(promises) > 1:
            doubled.append(f"{len(promises)} answers of 201 for {nickname}")
        for person in promises:
            if person.id not in [row.id for row in there]:
                lost.append(f"{nickname}, acknowledged as {person.id.hex()}")
            elif person not in there:
                untrue.append(f"{nickname} is not as it was acknowledged: {there}")
        may_be = [event.person for event in tries if event.status in (0, 503)]
        if not promises:
            untrue += [f"{nickname} is neither whole nor absent: {row}" for row in there if _sent(row) not in may_be]
        for event in tries:
            others = [
                e.person for e in tries if e is not event and e.started < event.ended and e.status in (0, 201, 503)
            ]
            if event.status == 422 and not any(_sent(row) in others for row in there):
                untrue.append(f"taken by nobody else: {event}")
    return lost, doubled, untrue


def _sent(row: Person) -> Person:
    return row._replace(id=b"")


def _failure(event: Event, may_fail: bool, may_cut: bool) -> str | None:
    """Return what is wrong with a request that failed, "" for a failure that is allowed, None if it did not fail."""
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


def _wrong_creation(event: Event) -> str:
    if event.status == 422:
        return "" if document(event).get("field") == event.dialect.nickname else "refused for no reason"
    if event.status != 201:
        return "no honest answer"
    person = acknowledged(event)
    return "" if person.id and document(event) == person.document(event.dialect) else "another person acknowledged"


def _wrong_read(event: Event) -> str:
    if event.status != 200:
        return "an acknowledged id is unknown"
    return "" if document(event) == event.person.document(event.dialect) else "another person read"


def _wrong_search(event: Event, told: Event | None, doubled: list[str]) -> str:
    if event.status != 200:
        return "no honest answer"
    found = document(event)
    nicknames = [person.get(event.dialect.nickname) for person in found]
    if len(nicknames) > 1:
        doubled.append(f"found {len(nicknames)} times: {event}")
    if told and (found or told.ended <= event.started):
        return "" if acknowledged(told).document(event.dialect) in found else "not found"
    return "" if set(nicknames) <= {event.person.nickname} else "somebody else found"


def _wrong_count(event: Event, least: int, most: int) -> str:
    assert event.answer
    if event.status != 200 or not event.answer.body.isdigit():
        return "no honest answer"
    return "" if least <= int(event.answer.body) <= most else f"not from {least} to {most}"


def document(event: Event) -> Any:
    assert event.answer
    return event.answer.json()


class Load:
    """Clients that write, read and search on `port` for as long as the block runs; `history` is what came of it.

    Clients with many `skills` do not search at once: while InnoDB writes its full-text cache to disk,
    which such people fill every second, a search may miss some of them for a moment.
    """

    def __init__(self, port: int, seed: int, clients: int = 8, skills: int = 3) -> None:
        self.history: list[Event] = []
        self._wire = OverTheWire(port, PATIENCE)
        self._skills = skills
        self._known: list[Person] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=(random.Random(f"{seed}/{number}"),))
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def audit(self) -> None:
        """Ask for everybody acknowledged by id and by search, and for the count, now that nothing is broken."""
        known = iter([event for event in self.history if event.action is Action.CREATE and event.status == 201])
        lock = threading.Lock()

        def ask() -> None:
            while True:
                with lock:
                    event = next(known, None)
                if event is None:
                    return
                person = acknowledged(event)
                self._ask(Action.READ, OFFICIAL, person, calm=True)
                self._ask(Action.SEARCH, ENGLISH, person, calm=True)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._ask(Action.COUNT, OFFICIAL, NOBODY, calm=True)

    def _client(self, choose: random.Random) -> None:
        for person in self._people(choose):
            for number in range(4):
                sent = person._replace(name=f"{person.name} {number}")  # tells which of the tries was stored
                dialect = DIALECTS[choose.getrandbits(1)]
                event = self._ask(Action.CREATE, dialect, sent)
                if event.status == 201:
                    self._known.append(acknowledged(event))
                    self._ask(Action.READ, dialect, acknowledged(event))
                if self._skills < 100:
                    self._ask(Action.SEARCH, DIALECTS[choose.getrandbits(1)], sent)
                if event.status in (201, 422) or self._over.wait(0.05):
                    break
            if self._known:
                self._ask(Action.READ, DIALECTS[choose.getrandbits(1)], choose.choice(self._known))
            time.sleep(choose.uniform(0, 0.03))  # so that the machine is not busy with clients alone
            if not choose.randrange(8):
                self._ask(Action.COUNT, DIALECTS[choose.getrandbits(1)], NOBODY)

    def _people(self, choose: random.Random) -> Iterator[Person]:
        while not self._over.is_set():
            skills = [f"{choose.getrandbits(80):020x}" for _ in range(choose.randrange(self._skills))]
            yield Person(b"", f"{choose.getrandbits(64):016x}", "José da Silva", "2000-01-01", skills or None)

    def _ask(self, action: Action, dialect: Dialect, person: Person, calm: bool = False) -> Event:
        started, answer, error = time.monotonic(), None, ""
        try:
            if action is Action.CREATE:
                body = {key: value for key, value in person.document(dialect).items() if key != "id"}
                answer = post(self._wire, dialect.people, body)
            else:
                path = {
                    Action.READ: f"{dialect.people}/{format_id(person.id)}",
                    Action.SEARCH: f"{dialect.people}?{dialect.term}={person.nickname}",
                    Action.COUNT: dialect.people_count,
                }[action]
                answer = self._wire.ask("GET", path)
        except (OSError, http.client.HTTPException) as failure:
            error = repr(failure)
        event = Event(action, dialect, person, started, time.monotonic(), answer, error, calm)
        self.history.append(event)
        return event


NOBODY = Person(b"", "", "", "", None)
