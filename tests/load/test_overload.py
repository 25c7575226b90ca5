"""Twice as many requests as the stack can serve: each is answered, or refused at once, and no stored person is lost."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ops.system.cgroups import available
from tests.support.client import Answer
from tests.support.people import new_nickname
from tests.support.stack import RunningStack, running_stack
from tests.support.traffic import answers_in

pytestmark = [
    pytest.mark.long,
    pytest.mark.alone,
    pytest.mark.skipif(not available(), reason="without control groups two cores cannot overload the stack"),
]

MEASURE_SECONDS = 3.0  # in which the rate is found that the stack serves
OVERLOAD_SECONDS = 10.0
REFUSED_WITHIN = 2.0  # seconds, at most: other processes use the machine too
RECOVERED_WITHIN = 5.0  # seconds after the overload


class Created(NamedTuple):
    """A creation: the nickname, the seconds until the answer, and the answer."""

    nickname: str
    seconds: float
    answer: Answer


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[RunningStack]:
    """Yield a stack with half of the contest's budget, so that two cores can send more than it serves."""
    with running_stack(tmp_path, "--cpus", "0.75", "--memory", "1536") as stack:
        yield stack


async def create(port: int) -> Created:
    """Create a person on a new connection, as the contest does."""
    nickname = new_nickname()
    body = json.dumps({"apelido": nickname, "nome": "Ana Silva", "nascimento": "2000-01-01", "stack": ["C", "Rust"]})
    head = f"POST /pessoas HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    started = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}\r\nConnection: close\r\n\r\n{body}".encode())
    received = await reader.read(-1)
    writer.close()
    (answer,), rest = answers_in(received)
    assert rest == b""
    return Created(nickname, time.monotonic() - started, answer)


async def create_by(port: int, clients: int, seconds: float) -> list[Created]:
    """Create people with so many clients, each of which sends the next request after the last answer."""
    until = time.monotonic() + seconds

    async def run_client() -> list[Created]:
        created = []
        while time.monotonic() < until:
            created.append(await create(port))
        return created

    return [one for some in await asyncio.gather(*(run_client() for _ in range(clients))) for one in some]


async def create_at(port: int, rate: float, seconds: float) -> tuple[list[Created], float]:
    """Create people at a rate; return the answers, and the seconds from the last request to the last answer."""
    started = time.monotonic()
    tasks: list[asyncio.Task[Created]] = []
    while (elapsed := time.monotonic() - started) < seconds:
        while len(tasks) < rate * elapsed:
            tasks.append(asyncio.create_task(create(port)))
        await asyncio.sleep(0.005)
    ended = time.monotonic()
    return list(await asyncio.gather(*tasks)), time.monotonic() - ended


def test_an_overload_is_refused_at_once_and_loses_no_person(limited: RunningStack) -> None:
    before = asyncio.run(create_by(limited.port, 16, MEASURE_SECONDS))
    rate = len(before) / MEASURE_SECONDS

    sent, drained = asyncio.run(create_at(limited.port, 2 * rate, OVERLOAD_SECONDS))

    after = asyncio.run(create_by(limited.port, 2, 1))
    stored = [one for one in sent if one.answer.status == 201]
    refused = [one for one in sent if one.answer.status == 503]
    # nginx refuses at once; a worker refuses after it has waited for MySQL.
    by_nginx = [one for one in refused if one.answer.json()["detail"] == "no instance answered in time"]
    slowest = max((one.seconds for one in by_nginx), default=0)
    print(
        f"{rate:.0f} a second are served; {len(sent) / OVERLOAD_SECONDS:.0f} a second for {OVERLOAD_SECONDS:.0f} s: "
        f"{len(stored)} stored, after {max(one.seconds for one in stored):.2f} s at most; {len(refused)} refused, "
        f"after {slowest:.2f} s at most; all answered {drained:.2f} s after the last was sent"
    )
    assert len(stored) + len(refused) == len(sent)
    assert by_nginx, "this was no overload"
    assert slowest < REFUSED_WITHIN
    assert {one.answer.headers["retry-after"] for one in refused} == {"1"}
    assert drained < RECOVERED_WITHIN
    assert {one.answer.status for one in after} == {201}
    acknowledged = {one.nickname for one in [*before, *stored, *after]}
    rows = [row[0] for row in limited.sql("SELECT apelido FROM pessoas")]
    assert len(rows) == len(set(rows))
    assert acknowledged <= set(rows) <= acknowledged | {one.nickname for one in refused}
