"""Audits a stack after a load: compares what was acknowledged, what is stored, and what search finds."""

import http.client
import json
import random
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from bench.people import Payload
from bench.stack import Stack
from ops.errors import OperatorError
from service.person import Dialect
from service.search import LIMIT

RETRY_TIMEOUT = 60.0  # seconds for which a 503 is asked again: MySQL may be restarting
SEARCHED = 2_000  # rows that the audit looks for by search; all rows if there are fewer

_ROWS = "SELECT BIN_TO_UUID(id), HEX(apelido), HEX(nome), nascimento, HEX(stack) FROM rinha.pessoas"


class Row(NamedTuple):
    """A stored person; `skills` is the column `stack`."""

    id: str
    nickname: str
    name: str
    birth_date: str
    skills: str | None


class Audit(NamedTuple):
    """The number of rows, and a sentence for each difference."""

    rows: int
    differences: list[str]

    def __str__(self) -> str:
        """Return the result as one line."""
        found = f"acknowledged = stored; {min(SEARCHED, self.rows):,} rows searched for and found"
        return "; ".join(self.differences) or found


class Auditor:
    """Audits the stack on a port."""

    def __init__(self, stack: Stack, port: int, dialect: Dialect, seed: int) -> None:
        self._stack = stack
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._dialect = dialect
        self._seed = seed

    def audit(self, acknowledged: int, sent: Sequence[Payload]) -> Audit:
        """Compare `acknowledged` creations and the people `sent` with the stack; raise OperatorError if it fails."""
        count = int(self._get(self._dialect.people_count))
        rows = list(_parse(self._stack.query(_ROWS)))
        return Audit(count, [*self._differences(acknowledged, count, rows, sent), *self._lost(rows)])

    def _differences(
        self, acknowledged: int, count: int, rows: Sequence[Row], sent: Sequence[Payload]
    ) -> Iterator[str]:
        if acknowledged != count:
            yield f"{acknowledged:,} acknowledged, {count:,} counted"
        if len(rows) != count:
            yield f"{len(rows):,} rows read, {count:,} counted"
        valid = {_fields(payload) for payload in sent if payload.status == 201}
        if unknown := [row for row in rows if row[1:] not in valid]:
            yield f"{len(unknown):,} rows that were never sent"
        if len({row.nickname for row in rows}) != len(rows):
            yield "two rows with one nickname"

    def _lost(self, rows: Sequence[Row]) -> Iterator[str]:
        """Search for a random choice of rows, by the end of a field."""
        lost = 0
        for row in random.Random(self._seed).sample(rows, min(SEARCHED, len(rows))):
            fragment = max(row.nickname, row.name.strip(), key=len)[-12:]
            found = json.loads(self._get(f"{self._dialect.people}?{urlencode({self._dialect.term: fragment})}"))
            lost += len(found) < LIMIT and row.id not in (person["id"] for person in found)
        if lost:
            yield f"{lost:,} rows not found by search"

    def _get(self, path: str) -> bytes:
        deadline = time.monotonic() + RETRY_TIMEOUT
        while True:
            self._connection.request("GET", path)
            answer = self._connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                return body
            if answer.status != 503 or time.monotonic() > deadline:
                raise OperatorError(f"GET {path} answers {answer.status}")
            time.sleep(1)


def _fields(payload: Payload) -> tuple[str, str, str, str | None]:
    """Return the fields of a payload in the official dialect, as columns."""
    document = payload.document
    skills = None if document["stack"] is None else "\n".join(document["stack"])
    return document["apelido"], document["nome"], document["nascimento"], skills


def _parse(text: str) -> Iterator[Row]:
    def decode(digits: str) -> str:
        return bytes.fromhex(digits).decode()

    for line in text.splitlines():
        identifier, nickname, name, birth_date, skills = line.split("\t")
        yield Row(identifier, decode(nickname), decode(name), birth_date, None if skills == "NULL" else decode(skills))
