"""The main job on the contest's data: 20,000 creations through the front door, then everything compared."""

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
from tests.support.stack import RunningStack, free_port

PEOPLE = 20_000
CONNECTIONS = 32
FRAGMENTS = 500


@pytest.fixture
def empty_stack(tmp_path: Path) -> Iterator[RunningStack]:
    running = RunningStack(free_port(), tmp_path)
    started = running.rinha("up", "--detach", timeout=300)
    assert started.returncode == 0, started.stdout + started.stderr
    yield running
    running.rinha("down")


class Kept:
    """A connection that is used again and again."""

    def __init__(self, address: int | str) -> None:
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", address if isinstance(address, int) else 80, timeout=30
        )
        if isinstance(address, str):
            self._connection.sock = socket.socket(socket.AF_UNIX)
            self._connection.sock.settimeout(30)
            self._connection.sock.connect(address)

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str | None, bytes]:
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = self._connection.getresponse()
        return answer.status, answer.getheader("Location"), answer.read()

    def close(self) -> None:
        self._connection.close()


def spread(address: int | str, connections: int, work: list[Any], do: Callable[[Kept, Any], Any]) -> list[Any]:
    """Do each piece of work on one of a number of connections; return the results in order."""
    pending, results = iter(list(enumerate(work))), [None] * len(work)

    def run() -> None:
        kept = Kept(address)
        while (piece := next(pending, None)) is not None:
            results[piece[0]] = do(kept, piece[1])
        kept.close()

    with ThreadPoolExecutor(connections) as pool:
        for future in [pool.submit(run) for _ in range(connections)]:
            future.result()
    return results


def create_and_look(kept: Kept, payload: Payload) -> tuple[int, str | None, int | None]:
    """Create a person and, if that worked, get it, as the contest does."""
    status, location, _ = kept.ask("POST", "/pessoas", payload.body)
    return status, location, kept.ask("GET", location)[0] if location else None


@pytest.mark.timeout(600)
def test_everything_sent_is_stored_and_found(empty_stack: RunningStack, capsys: pytest.CaptureFixture[str]) -> None:
    sent = list(payloads(20231121, PEOPLE))
    started = time.monotonic()
    answers = spread(empty_stack.port, CONNECTIONS, sent, create_and_look)
    seconds = time.monotonic() - started

    created = [
        (payload, location) for payload, (status, location, _) in zip(sent, answers, strict=True) if status == 201
    ]
    taken = Counter(payload.document["apelido"] for payload in sent if payload.status == 201)
    assert len(created) == maximum(sent) == len(taken)
    for payload, (status, location, found) in zip(sent, answers, strict=True):
        assert (status, found) == ((201, 200) if location else (status, None))
        if payload.status != 201:
            assert status == payload.status, payload.body
        else:
            assert status == 201 or (status == 422 and taken[payload.document["apelido"]] > 1), payload.body

    assert int(empty_stack.wire.ask("GET", "/contagem-pessoas").body) == maximum(sent)

    # Nobody missing, nobody twice, everybody as they were sent.
    expected = {location.rpartition("/")[2]: payload.document for payload, location in created}
    rows = empty_stack.sql("SELECT BIN_TO_UUID(id), HEX(apelido), HEX(nome), nascimento, HEX(stack) FROM pessoas")
    stored = {
        identifier: {
            "apelido": text(nickname), "nome": text(name), "nascimento": day,
            "stack": None if stack == "NULL" else text(stack).split("\n"),
        }
        for identifier, nickname, name, day, stack in rows
    }  # fmt: skip
    assert len(rows) == len(stored)
    assert stored == expected

    for number in (1, 2):
        looked = spread(
            str(empty_stack.data / f"run/api{number}.1.sock"), 4, [location for _, location in created], look
        )
        assert [(status, document) for status, document in looked] == [
            (200, {"id": location.rpartition("/")[2], **payload.document}) for payload, location in created
        ]

    people = {
        identifier: [field.lower() for field in (document["apelido"], document["nome"], *(document["stack"] or []))]
        for identifier, document in expected.items()
    }
    hits = Counter[str]()
    pieces = list(itertools.islice(fragments(list(expected.values())), FRAGMENTS))
    searched = spread(empty_stack.port, 4, [f"/pessoas?t={quote(fragment)}" for fragment in pieces], look)
    for fragment, (status, document) in zip(pieces, searched, strict=True):
        matching = {who for who, fields in people.items() if any(fragment.lower() in field for field in fields)}
        found = [person["id"] for person in document]
        assert status == 200
        assert set(found) <= matching, fragment
        assert len(found) == len(set(found)) == min(len(matching), 50), fragment
        hits["none" if not matching else "1 to 50" if len(matching) <= 50 else "more than 50"] += 1

    with capsys.disabled():
        print(
            f"\n{PEOPLE:,} creations and {len(created):,} look-ups on {CONNECTIONS} connections in {seconds:.1f} s; "
            f"{len(created):,} of {maximum(sent):,} stored, 0 missing, 0 doubled; every Location 200 through both "
            f"instances; {FRAGMENTS} fragments found as the oracle says ({dict(hits)})"
        )


def look(kept: Kept, path: str) -> tuple[int, Any]:
    status, _, body = kept.ask("GET", path)
    return status, json.loads(body)


def text(digits: str) -> str:
    return bytes.fromhex(digits).decode()


def fragments(people: list[dict[str, Any]]) -> Iterator[str]:
    """Yield pieces of 1 to 20 characters of what is stored, in any case; every eighth with a letter changed."""
    choose = random.Random(7)
    for number in itertools.count():
        person = choose.choice(people)
        field = choose.choice([person["apelido"], person["nome"], choose.choice(person["stack"] or ["Node"])])
        start = choose.randrange(len(field))
        piece = field[start : start + choose.randint(1, 20)]
        if number % 8 == 0:
            piece = piece[:-1] + choose.choice("qzxw#")
        yield "".join(choose.choice([letter.lower(), letter.upper()]) for letter in piece)
