"""Searches as fast as a running stack answers them, beside creations, and prints what became of both and of MySQL.

    PYTHONPATH=. .venv/bin/python -m bench.search_storm 9999                          # the mix, then a few bad terms
    PYTHONPATH=. .venv/bin/python -m bench.search_storm 9999 --seconds 300 --terms 'joão da silva'
    PYTHONPATH=. .venv/bin/python -m bench.search_storm 9999 --large                  # people of 16 KB

Times are the clients', through nginx, in milliseconds. The people whom it creates stay.
"""

import argparse
import json
import random
import string
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pymysql

from bench.search_latency import MIX
from bench.wire import ask
from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import connect_as_root

BAD_TERMS = ["joão da silva", "maria aparecida", "maria da silva souza", "react node", "ny", "t++"]


@dataclass
class Requests:
    """What became of some requests: how many had each status, and the seconds each took."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def send(self, address: str, method: str, path: str, body: bytes = b"") -> int:
        """Send a request; return its status."""
        started = time.monotonic()
        status = ask(address, method, path, body).status
        self.seconds.append(time.monotonic() - started)
        self.statuses[status] += 1
        return status

    def percentile(self, share: float) -> float:
        """Return a percentile of the times, in milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else 0.0


@dataclass
class Watched:
    """What MySQL had at most: statements of the service at once, megabytes; and how often it was started."""

    statements: int = 0
    memory: int = 0
    starts: int = 0


class Outcome(NamedTuple):
    """What became of the searches and creations of some seconds, who was stored, and what MySQL had."""

    seconds: float
    searches: Requests
    creations: Requests
    stored: list[str]
    watched: Watched


def play(  # noqa: PLR0913 - a load has so many sides
    directory: DataDirectory,
    port: int,
    seconds: float,
    terms: Sequence[str],
    *,
    clients: int,
    writers: int,
    rate: float = 0,
    body: Callable[[str], bytes] | None = None,
) -> Outcome:
    """Search and create at once; the creations have a `rate` a second together, or come one after the other."""
    searches, creations = Requests(), Requests()
    stored: list[str] = []
    address = f"127.0.0.1:{port}"
    end = time.monotonic() + seconds

    def search(seed: int) -> None:
        choose = random.Random(seed)
        while time.monotonic() < end:
            searches.send(address, "GET", "/pessoas?t=" + urllib.parse.quote(choose.choice(terms)))

    def create(number: int) -> None:
        started = time.monotonic()
        for count in range(1 << 30):
            if rate:
                time.sleep(max(0.0, started + count * writers / rate - time.monotonic()))
            if time.monotonic() >= end:
                return
            nickname = f"{number}{count}{random.getrandbits(64):x}"
            if creations.send(address, "POST", "/pessoas", (body or person)(nickname)) == 201:
                stored.append(nickname)

    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(clients)]
    threads += [threading.Thread(target=create, args=(number,)) for number in range(writers)]
    with watching(directory) as watched:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return Outcome(seconds, searches, creations, stored, watched)


def person(nickname: str) -> bytes:
    """Return the body of a creation."""
    return json.dumps(
        {"apelido": nickname, "nome": "Ana Zulmira", "nascimento": "2000-01-01", "stack": ["Go", "SQL"]}
    ).encode()


def large_person(nickname: str) -> bytes:
    """Return a person of nearly 16 KB, with thousands of distinct trigrams."""
    skills = ["".join(random.choices(string.ascii_lowercase + string.digits, k=32)) for _ in range(450)]
    return json.dumps({"apelido": nickname, "nome": "Ana", "nascimento": "2000-01-01", "stack": skills}).encode()


@contextmanager
def watching(directory: DataDirectory) -> Iterator[Watched]:
    """Look at MySQL ten times a second."""
    watched, over = Watched(), threading.Event()

    def watch() -> None:
        process = 0
        while not over.wait(0.1):
            try:
                now = directory.running().components["mysql"].pid
                watched.starts += now != process != 0
                process = now
                status = Path(f"/proc/{now}/status").read_text()
                watched.memory = max(watched.memory, int(status.split("VmRSS:")[1].split()[0]) >> 10)
                watched.statements = max(watched.statements, statements(directory))
            except (OSError, IndexError, pymysql.MySQLError):
                continue  # it is being started again

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield watched
    finally:
        over.set()
        watcher.join()


def statements(directory: DataDirectory) -> int:
    """Return how many statements MySQL is at, whoever's: while a trigger runs, they are its definer's."""
    with connect_as_root(directory.mysql_socket) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE command = 'Query' AND id <> CONNECTION_ID()"
        )
        return int(cursor.fetchall()[0][0])


def line(what: str, outcome: Outcome) -> str:
    """Return an outcome as a line of the table."""
    searches, creations, watched = outcome.searches, outcome.creations, outcome.watched
    return (
        f"{what:<34} {len(searches.seconds) / outcome.seconds:8.1f}/s  p50 {searches.percentile(0.5):7.1f}  "
        f"p99 {searches.percentile(0.99):7.1f}  max {searches.percentile(1):7.1f}  {dict(searches.statuses)}  "
        f"| created {len(creations.seconds):5}  p99 {creations.percentile(0.99):7.1f}  {dict(creations.statuses)}  "
        f"| MySQL: {watched.statements} statements, {watched.memory} MB, {watched.starts} restarts"
    )


def main() -> None:
    """Print a line for each load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int, help="of the running stack")
    parser.add_argument("--data", type=Path, help="its data directory (default: .rinha/PORT)")
    parser.add_argument("--seconds", type=float, default=20, help="of each load (default: 20)")
    parser.add_argument("--terms", nargs="*", default=BAD_TERMS, help="each searched for by eight clients")
    parser.add_argument("--large", action="store_true", help="create people of 16 KB")
    arguments = parser.parse_args()
    directory = DataDirectory.chosen(arguments.data, arguments.port)
    body = large_person if arguments.large else person
    mix = [term for some in MIX.values() for term in some]
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
