"""Prints how a running stack answers searches at full speed beside creations, and what MySQL needs meanwhile.

    PYTHONPATH=. .venv/bin/python -m bench.search_storm 9999                          # the mix, then a few bad terms
    PYTHONPATH=. .venv/bin/python -m bench.search_storm 9999 --seconds 300 --terms 'joão da silva'
    PYTHONPATH=. .venv/bin/python -m bench.search_storm 9999 --large                  # people of 16 KB

Times are those of the clients, through nginx, in milliseconds. The people that it creates stay in the stack.
"""

import argparse
import itertools
import json
import random
import string
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pymysql

from bench.search_latency import MIX
from bench.statistics import percentile
from bench.wire import send
from ops.client import search_path
from ops.periodic import repeated
from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import connect_as_root
from service.person import OFFICIAL

BAD_TERMS = ["joão da silva", "maria aparecida", "maria da silva souza", "react node", "ny", "t++"]
WATCH_INTERVAL = 0.1  # seconds


def person(nickname: str) -> bytes:
    """Return the body that creates a person."""
    return json.dumps(
        {"apelido": nickname, "nome": "Ana Zulmira", "nascimento": "2000-01-01", "stack": ["Go", "SQL"]}
    ).encode()


def large_person(nickname: str) -> bytes:
    """Return a body of nearly 16 KB that creates a person, with thousands of distinct n-grams."""
    skills = ["".join(random.choices(string.ascii_lowercase + string.digits, k=32)) for _ in range(450)]
    return json.dumps({"apelido": nickname, "nome": "Ana", "nascimento": "2000-01-01", "stack": skills}).encode()


@dataclass
class Requests:
    """The results of requests: how many had each status, and the seconds that each took."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def send(self, address: str, method: str, path: str, body: bytes = b"") -> int:
        """Send a request and record the result; return the status."""
        started = time.monotonic()
        status = send(address, method, path, body).status
        self.seconds.append(time.monotonic() - started)
        self.statuses[status] += 1
        return status

    def percentile(self, percent: float) -> float:
        """Return a percentile of the times, in milliseconds; 0 without requests."""
        return percentile(sorted(self.seconds), percent) * 1000 if self.seconds else 0.0


@dataclass
class Watched:
    """The peaks of MySQL: statements at once and MB of memory; and how often the server was restarted."""

    statements: int = 0
    memory: int = 0
    starts: int = 0


class Outcome(NamedTuple):
    """The results of a load of some seconds; `stored` are the nicknames of the people created."""

    seconds: float
    searches: Requests
    creations: Requests
    stored: list[str]
    watched: Watched


class _Load:
    """Searches and creations at an address, by any number of threads, until the end of the load."""

    def __init__(self, address: str, seconds: float) -> None:
        self.searches, self.creations = Requests(), Requests()
        self.stored: list[str] = []
        self._address = address
        self._end = time.monotonic() + seconds

    def search(self, seed: int, terms: Sequence[str]) -> None:
        """Search for random terms, one after the other."""
        rng = random.Random(seed)
        while time.monotonic() < self._end:
            self.searches.send(self._address, "GET", search_path(rng.choice(terms)))

    def create(self, writer: int, rate: float, body: Callable[[str], bytes]) -> None:
        """Create people at `rate` a second, or one after the other if `rate` is 0."""
        started = time.monotonic()
        for number in itertools.count():
            if rate:
                time.sleep(max(0.0, started + number / rate - time.monotonic()))
            if time.monotonic() >= self._end:
                return
            nickname = f"{writer}{number}{random.getrandbits(64):x}"
            if self.creations.send(self._address, "POST", OFFICIAL.people, body(nickname)) == 201:
                self.stored.append(nickname)


def play(  # noqa: PLR0913 - the dimensions of a load
    directory: DataDirectory,
    port: int,
    seconds: float,
    terms: Sequence[str],
    *,
    clients: int,
    writers: int,
    rate: float = 0,
    body: Callable[[str], bytes] = person,
) -> Outcome:
    """Search with `clients` threads and create people with `writers` threads at the same time.

    The writers create `rate` people a second together, or as many as they can if `rate` is 0.
    """
    load = _Load(f"127.0.0.1:{port}", seconds)
    threads = [threading.Thread(target=load.search, args=(seed, terms)) for seed in range(clients)]
    threads += [threading.Thread(target=load.create, args=(n, rate / writers, body)) for n in range(writers)]
    with _watching(directory) as watched:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return Outcome(seconds, load.searches, load.creations, load.stored, watched)


@contextmanager
def _watching(directory: DataDirectory) -> Iterator[Watched]:
    """Watch MySQL until the end of the context."""
    watched, pid = Watched(), 0

    def look() -> None:
        nonlocal pid
        with suppress(OSError, IndexError, KeyError, pymysql.MySQLError):  # MySQL is being restarted
            current = directory.running().components["mysql"].pid
            watched.starts += current != pid != 0
            pid = current
            status = Path(f"/proc/{pid}/status").read_text()
            watched.memory = max(watched.memory, int(status.split("VmRSS:")[1].split()[0]) >> 10)
            watched.statements = max(watched.statements, statements(directory))

    with repeated(look, WATCH_INTERVAL):
        yield watched


def statements(directory: DataDirectory) -> int:
    """Return how many statements on the service's tables MySQL executes now.

    Those of all users count, because a trigger runs as the user that defined it. Statements on no table, such as
    GET_LOCK and those of the disk reserve, end at once.
    """
    with connect_as_root(directory.mysql_socket) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.processlist "
            "WHERE command = 'Query' AND info REGEXP 'pessoas|contagem' AND id <> CONNECTION_ID()"
        )
        return int(cursor.fetchall()[0][0])


def line(name: str, outcome: Outcome) -> str:
    """Return an outcome as a line of the table."""
    searches, creations, watched = outcome.searches, outcome.creations, outcome.watched
    return (
        f"{name:<34} {len(searches.seconds) / outcome.seconds:8.1f}/s  p50 {searches.percentile(50):7.1f}  "
        f"p99 {searches.percentile(99):7.1f}  max {searches.percentile(100):7.1f}  {dict(searches.statuses)}  "
        f"| created {len(creations.seconds):5}  p99 {creations.percentile(99):7.1f}  {dict(creations.statuses)}  "
        f"| MySQL: {watched.statements} statements, {watched.memory} MB, {watched.starts} restarts"
    )


def main() -> None:
    """Print a line for each load."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="python -m bench.search_storm", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("port", type=int, help="the port of a running stack")
    add("--data", type=Path, metavar="DIR", help="the data directory of the stack (default: .rinha/PORT)")
    add("--seconds", type=float, default=20, metavar="N", help="the duration of each load (default: %(default)s)")
    add("--terms", nargs="*", default=BAD_TERMS, metavar="TERM", help="terms that 8 clients search for, one by one")
    add("--large", action="store_true", help="create people of nearly 16 KB")
    arguments = parser.parse_args()
    directory = DataDirectory.chosen(arguments.data, arguments.port)
    body = large_person if arguments.large else person
    mix = [term for terms in MIX.values() for term in terms]
    for clients in (1, 8, 64):
        outcome = play(
            directory, arguments.port, arguments.seconds, mix, clients=clients, writers=8, rate=100, body=body
        )
        print(line(f"the mix, {clients} clients, 100 creations/s", outcome), flush=True)
    for term in arguments.terms:
        outcome = play(directory, arguments.port, arguments.seconds, [term], clients=8, writers=2, body=body)
        print(line(f"{term}, 8 clients, 2 writers", outcome), flush=True)


if __name__ == "__main__":
    main()
