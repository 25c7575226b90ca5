"""Twice as many requests as can be served: each is answered, or refused at once, and nobody who was stored is lost."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ops.system.cgroups import available
from tests.support.client import Answer
from tests.support.people import nickname
from tests.support.stack import RunningStack, free_port
from tests.support.traffic import answers_in

SERVED = 3.0  # seconds in which the rate is found that can be served
OVERLOAD = 10.0  # seconds
QUICK = 2.0  # seconds in which a request is refused, at most: the machine is not ours alone
NORMAL = 5.0  # seconds after the overload in which all is as before


class Sent(NamedTuple):
    nickname: str
    seconds: float
    answer: Answer


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[RunningStack]:
    """A stack on half of the contest's budget, so that two cores can ask for more than it serves."""
    running = RunningStack(free_port(), tmp_path)
    said = running.rinha("up", "--detach", "--cpus", "0.75", "--memory", "1536", timeout=300)
    assert said.returncode == 0, said.stdout + said.stderr
    yield running
    running.rinha("down")


async def create(port: int) -> Sent:
    """Send somebody new on a connection of its own, as the contest does."""
    nick = nickname()
    body = json.dumps({"apelido": nick, "nome": "Ana Silva", "nascimento": "2000-01-01", "stack": ["C", "Rust"]})
    head = f"POST /pessoas HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    started = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}\r\nConnection: close\r\n\r\n{body}".encode())
    received = await reader.read(-1)
    writer.close()
    (answer,), rest = answers_in(received)
    assert rest == b""
    return Sent(nick, time.monotonic() - started, answer)


async def at_once(port: int, clients: int, seconds: float) -> list[Sent]:
    """Return what so many clients got that each send the next when the last is answered."""
    until = time.monotonic() + seconds

    async def client() -> list[Sent]:
        sent = []
        while time.monotonic() < until:
            sent.append(await create(port))
        return sent

    return [one for sent in await asyncio.gather(*(client() for _ in range(clients))) for one in sent]


async def at_rate(port: int, rate: float, seconds: float) -> tuple[list[Sent], float]:
    """Return what was got by requests that are sent at a rate, and how long after the last all were answered."""
    started = time.monotonic()
    tasks = []
    while (late := time.monotonic() - started) < seconds:
        while len(tasks) < rate * late:
            tasks.append(asyncio.create_task(create(port)))
        await asyncio.sleep(0.005)
    ended = time.monotonic()
    return list(await asyncio.gather(*tasks)), time.monotonic() - ended


@pytest.mark.skipif(not available(), reason="control groups may not be made here: no overload on two cores without")
def test_an_overload_is_refused_at_once_and_loses_nobody(limited: RunningStack) -> None:
    before = asyncio.run(at_once(limited.port, 16, SERVED))
    rate = len(before) / SERVED

    sent, drained = asyncio.run(at_rate(limited.port, 2 * rate, OVERLOAD))

    after = asyncio.run(at_once(limited.port, 2, 1))
    stored = [one for one in sent if one.answer.status == 201]
    refused = [one for one in sent if one.answer.status == 503]
    # Those that nginx refuses: the service's own wait for MySQL first.
    by_nginx = [one for one in refused if one.answer.json()["detail"] == "no instance answered in time"]
    quickly = max((one.seconds for one in by_nginx), default=0)
    print(
        f"{rate:.0f} a second are served; {len(sent) / OVERLOAD:.0f} a second for {OVERLOAD:.0f} s: {len(stored)} "
        f"stored, after {max(one.seconds for one in stored):.2f} s at most; {len(refused)} refused, "
        f"after {quickly:.2f} s at most; all answered {drained:.2f} s after the last was sent"
    )
    assert len(stored) + len(refused) == len(sent)
    assert by_nginx, "this was no overload"
    assert quickly < QUICK
    assert {one.answer.headers["retry-after"] for one in refused} == {"1"}
    assert drained < NORMAL
    assert {one.answer.status for one in after} == {201}
    acknowledged = {one.nickname for one in [*before, *stored, *after]}
    there = [row[0] for row in limited.sql("SELECT apelido FROM pessoas")]
    assert len(there) == len(set(there))
    assert acknowledged <= set(there) <= acknowledged | {one.nickname for one in refused}
