"""Clients that write, read, search and count for as long as a context lasts, and record each answer."""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from service.person import ENGLISH, OFFICIAL, Dialect, Person, format_id
from tests.support.client import OverTheWire, post
from tests.support.history import NO_PERSON, Action, Event, acknowledged_person

CLIENT_TIMEOUT = 20.0  # seconds after which a client gives a request up
DIALECTS = (OFFICIAL, ENGLISH)
MANY_SKILLS = 500  # of people whose n-grams fill InnoDB's full-text cache every second


class Load:
    """Clients of a port; `history` has their requests and answers.

    Clients that create people with many skills search in the audit only.
    """

    def __init__(self, port: int, seed: int, clients: int = 8, skills: int = 3) -> None:
        self.history: list[Event] = []
        self._wire = OverTheWire(port, CLIENT_TIMEOUT)
        self._skills = skills
        self._acknowledged: list[Person] = []
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run_client, args=(random.Random(f"{seed}/{number}"),))
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def audit(self) -> None:
        """Look up each acknowledged person by id and by search, and the count, while there is no fault."""
        creations = iter([event for event in self.history if event.action is Action.CREATE and event.status == 201])
        lock = threading.Lock()

        def look_up() -> None:
            while True:
                with lock:
                    event = next(creations, None)
                if event is None:
                    return
                person = acknowledged_person(event)
                self._send(Action.READ, OFFICIAL, person, calm=True)
                self._send(Action.SEARCH, ENGLISH, person, calm=True)

        threads = [threading.Thread(target=look_up) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._send(Action.COUNT, OFFICIAL, NO_PERSON, calm=True)

    def has_stored_since(self, moment: float) -> bool:
        """Return whether a person was sent after a moment and stored."""
        recent = self.history[-100:]
        return any(event.action is Action.CREATE and event.status == 201 and event.started > moment for event in recent)

    def _run_client(self, rng: random.Random) -> None:
        for person in self._people(rng):
            self._create(rng, person)
            if self._acknowledged:
                self._send(Action.READ, DIALECTS[rng.getrandbits(1)], rng.choice(self._acknowledged))
            time.sleep(rng.uniform(0, 0.03))  # leaves the processors to the servers
            if not rng.randrange(8):
                self._send(Action.COUNT, DIALECTS[rng.getrandbits(1)], NO_PERSON)

    def _create(self, rng: random.Random, person: Person) -> None:
        """Create a person; repeat that up to three times if it fails, as a client does."""
        for number in range(4):
            sent = person._replace(name=f"{person.name} {number}")  # tells which of the requests was stored
            dialect = DIALECTS[rng.getrandbits(1)]
            event = self._send(Action.CREATE, dialect, sent)
            if event.status == 201:
                self._acknowledged.append(acknowledged_person(event))
                self._send(Action.READ, dialect, acknowledged_person(event))
            if self._skills < MANY_SKILLS:
                self._send(Action.SEARCH, DIALECTS[rng.getrandbits(1)], sent)
            if event.status in (201, 422) or self._stopped.wait(0.05):
                break

    def _people(self, rng: random.Random) -> Iterator[Person]:
        while not self._stopped.is_set():
            skills = [f"{rng.getrandbits(80):020x}" for _ in range(rng.randrange(self._skills))]
            yield Person(b"", f"{rng.getrandbits(64):016x}", "José da Silva", "2000-01-01", skills or None)

    def _send(self, action: Action, dialect: Dialect, person: Person, calm: bool = False) -> Event:
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
                answer = self._wire.request("GET", path)
        except (OSError, http.client.HTTPException) as failure:
            error = repr(failure)
        event = Event(action, dialect, person, started, time.monotonic(), answer, error, calm)
        self.history.append(event)
        return event
