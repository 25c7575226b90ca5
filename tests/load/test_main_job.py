"""The contest's job: 20,000 creations through nginx, then a comparison of every row, every read and many searches."""

import http.client
import itertools
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bench.people import Payload, maximum, payloads
from tests.support.stack import RunningStack, running_stack

pytestmark = [pytest.mark.long, pytest.mark.alone, pytest.mark.timeout(600)]

PEOPLE = 20_000
CONNECTIONS = 32
FRAGMENTS = 500

Created = tuple[Payload, str]  # a person, and the Location of the 201


@pytest.fixture
def empty_stack(tmp_path: Path) -> Iterator[RunningStack]:
    with running_stack(tmp_path) as stack:
        yield stack


class Connection:
    """A connection that is used for many requests."""

    def __init__(self, address: int | str) -> None:
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", address if isinstance(address, int) else 80, timeout=30
        )
        if isinstance(address, str):
            self._connection.sock = socket.socket(socket.AF_UNIX)
            self._connection.sock.settimeout(30)
            self._connection.sock.connect(address)

    def request(self, method: str, path: str, body: str | None = None) -> tuple[int, str | None, bytes]:
        """Return status, Location and body of the answer."""
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = self._connection.getresponse()
        return answer.status, answer.getheader("Location"), answer.read()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def spread(address: int | str, connections: int, tasks: list[Any], do: Callable[[Connection, Any], Any]) -> list[Any]:
    """Do each task on one of the connections; return the results in the order of the tasks."""
    pending, results = iter(list(enumerate(tasks))), [None] * len(tasks)

    def run() -> None:
        connection = Connection(address)
        while (task := next(pending, None)) is not None:
            results[task[0]] = do(connection, task[1])
        connection.close()

    with ThreadPoolExecutor(connections) as pool:
        for future in [pool.submit(run) for _ in range(connections)]:
            future.result()
    return results


def create_and_read(connection: Connection, payload: Payload) -> tuple[int, str | None, int | None]:
    """Create a person and, if it was created, read it, as the contest does."""
    status, location, _ = connection.request("POST", "/pessoas", payload.body)
    return status, location, connection.request("GET", location)[0] if location else None


def read(connection: Connection, path: str) -> tuple[int, Any]:
    """Return the status and the document of a GET."""
    status, _, body = connection.request("GET", path)
    return status, json.loads(body)


def test_everything_sent_is_stored_and_found(empty_stack: RunningStack) -> None:
    sent = list(payloads(20231121, PEOPLE))
    started = time.monotonic()
    answers = spread(empty_stack.port, CONNECTIONS, sent, create_and_read)
    seconds = time.monotonic() - started

    created = check_answers(sent, answers)
    assert int(empty_stack.wire.request("GET", "/contagem-pessoas").body) == len(created) == maximum(sent)
    check_rows(empty_stack, created)
    check_reads(empty_stack, created)
    hits = check_searches(empty_stack, created)

    print(
        f"\n{PEOPLE:,} creations and {len(created):,} reads on {CONNECTIONS} connections in {seconds:.1f} s; "
        f"{len(created):,} of {maximum(sent):,} stored, 0 missing, 0 doubled; every Location 200 through both "
        f"instances; {FRAGMENTS} fragments found as the oracle says ({dict(hits)})"
    )


def check_answers(sent: list[Payload], answers: list[tuple[int, str | None, int | None]]) -> list[Created]:
    """Check that each creation got its status; return the created people."""
    taken = Counter(payload.document["apelido"] for payload in sent if payload.status == 201)
    assert maximum(sent) == len(taken)
    for payload, (status, location, found) in zip(sent, answers, strict=True):
        assert (status, found) == ((201, 200) if location else (status, None))
        if payload.status != 201:
            assert status == payload.status, payload.body
        else:
            assert status == 201 or (status == 422 and taken[payload.document["apelido"]] > 1), payload.body
    return [(payload, location) for payload, (_, location, _) in zip(sent, answers, strict=True) if location]


def check_rows(stack: RunningStack, created: list[Created]) -> None:
    """Check that the rows are the created people: none is missing, none is doubled, each is as it was sent."""
    expected = {location.rpartition("/")[2]: payload.document for payload, location in created}
    rows = stack.sql("SELECT BIN_TO_UUID(id), HEX(apelido), HEX(nome), nascimento, HEX(stack) FROM pessoas")
    stored = {
        identifier: {
            "apelido": text(nickname),
            "nome": text(name),
            "nascimento": day,
            "stack": None if skills == "NULL" else text(skills).split("\n"),
        }
        for identifier, nickname, name, day, skills in rows
    }
    assert len(rows) == len(stored)
    assert stored == expected


def text(digits: str) -> str:
    """Return the text of hexadecimal digits."""
    return bytes.fromhex(digits).decode()


def check_reads(stack: RunningStack, created: list[Created]) -> None:
    """Check that both instances answer each Location with the created person."""
    locations = [location for _, location in created]
    expected = [(200, {"id": location.rpartition("/")[2], **payload.document}) for payload, location in created]
    for number in (1, 2):
        answers = spread(str(stack.data / f"run/api{number}.1.sock"), 4, locations, read)
        assert [(status, document) for status, document in answers] == expected


def check_searches(stack: RunningStack, created: list[Created]) -> Counter[str]:
    """Check that searches find the people with a fragment in a field; return how many searches had how many hits."""
    people = {
        location.rpartition("/")[2]: [field.lower() for field in fields_of(payload.document)]
        for payload, location in created
    }
    hits = Counter[str]()
    terms = list(itertools.islice(fragments([payload.document for payload, _ in created]), FRAGMENTS))
    answers = spread(stack.port, 4, [f"/pessoas?t={quote(term)}" for term in terms], read)
    for term, (status, document) in zip(terms, answers, strict=True):
        matching = {one for one, fields in people.items() if any(term.lower() in field for field in fields)}
        found = [person["id"] for person in document]
        assert status == 200
        assert set(found) <= matching, term
        assert len(found) == len(set(found)) == min(len(matching), 50), term
        hits["none" if not matching else "1 to 50" if len(matching) <= 50 else "more than 50"] += 1
    return hits


def fields_of(document: dict[str, Any]) -> list[str]:
    """Return the searched fields of a person."""
    return [document["apelido"], document["nome"], *(document["stack"] or [])]


def fragments(people: list[dict[str, Any]]) -> Iterator[str]:
    """Yield parts of stored fields of 1 to 20 characters, in any case; in every eighth a character is changed."""
    rng = random.Random(7)
    for number in itertools.count():
        person = rng.choice(people)
        field = rng.choice([person["apelido"], person["nome"], rng.choice(person["stack"] or ["Node"])])
        start = rng.randrange(len(field))
        term = field[start : start + rng.randint(1, 20)]
        if number % 8 == 0:
            term = term[:-1] + rng.choice("qzxw#")
        yield "".join(rng.choice([letter.lower(), letter.upper()]) for letter in term)
