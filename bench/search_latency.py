"""Times searches over a fixed mix of terms on people of `./rinha seed`, next to the plain scan, and prints a table.

    PYTHONPATH=. .venv/bin/python -m bench.search_latency .rinha/9999

The first pass after a start of MySQL is the cold one. Times are of the store, in milliseconds: HTTP is not in them.
Meanwhile people are created, as many a second as asked for. They stay.
"""

import argparse
import itertools
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import connect_as_root
from service.config import Config
from service.errors import Unavailable
from service.finder import SCAN
from service.person import Person, new_id
from service.store import PeopleStore

MIX = {
    "frequent": ["silva", "maria", "python", "santos", "javascript", "docker", "josé", "ana", "OLIVEIRA", "react"],
    "names": ["wanderley", "zulmira", "kowalczyk", "ubirajara", "bittencourt", "elizabeth", "tanaka", "müller"],
    "rare": ["szymański", "xênia", "albuquerque-m", "suede", "nilcilene", "elizabeth zanetti", "rley_1", "wojcie"],
    "missing": ["zzzzzz", "qwerty", "foobarbaz", "xylophone", "wxyz", "jjj", "brontë", "anna-maria"],
    "one letter": ["a", "z", "ç", "7", "w", "ж"],
    "two letters": ["ão", "wa", "xê", "zz", "qz", "kq", "9z", "ny"],
    "two words": [
        "maria silva", "joão da silva", "ubirajara nakamura", "washington bittencourt", "zulmira tanaka",
        "raquel nakamura", "kleber magalhães", "wesley schmidt",
    ],
    "punctuated": ["c#", "c++", "f#", ".net", "node.js", "asp.net", "t++", "d'ávila", "objective-c", "vue.js"],
    "the contest's": [
        "kDmPFKfqOX", "hFrO", "WnE", "RdJ", "oLFVQEnOBFAl xYz", "Tga", "wbq", "dJ", "gKw HbZ", "QpLmTrSvXyZaBcDe",
    ],
}  # fmt: skip


def main() -> None:
    """Print the table for the database of a data directory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="the data directory of a running stack")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--beside", type=int, default=50, metavar="N", help="create N people a second meanwhile")
    parser.add_argument("--clients", type=int, default=0, metavar="N", help="then search with N processes at once")
    parser.add_argument("--scan-every", type=int, default=1, metavar="N", help="compare each Nth term with a scan")
    arguments = parser.parse_args()
    config = DataDirectory(arguments.directory).config()
    store = PeopleStore(config)
    terms = [(kind, term) for kind, some in MIX.items() for term in some]
    stopped: set[str] = set()

    def search(term: str) -> None:
        try:
            store.search(term)
        except Unavailable:
            stopped.add(term)

    with creating(config, arguments.beside):
        sample = timed(search, "a sample is taken with the first search")
        times = [[timed(search, term) for _, term in terms] for _ in range(arguments.passes)]
        crowd = at_once(config, arguments.clients, arguments.passes) if arguments.clients else []
    print(f"first search, with the sample: {sample:.0f} ms; beside {arguments.beside} creations a second")
    show("first pass", times[0])
    show("later passes", [one for some in times[1:] for one in some])
    for kind in MIX:
        show(f"  {kind}", [some[n] for some in times[1:] for n, (its, _) in enumerate(terms) if its == kind])
    worst = sorted(((some[n], term) for some in times[1:] for n, (_, term) in enumerate(terms)), reverse=True)
    print("slowest:", ", ".join(f"{term} {one:.0f}" for one, term in worst[:6]), "stopped:", sorted(stopped) or "none")

    if crowd:
        refused = sum(one is None for one in crowd)
        show(f"{arguments.clients} at once", [one for one in crowd if one is not None])
        print(f"stopped: {refused} of {len(crowd)}")

    root = connect_as_root(Path(config.db_socket), database="rinha").cursor()
    some = terms[:: arguments.scan_every]
    scans = [timed(lambda t: root.execute(SCAN.format(hint=""), (f"%{t}%",)), term) for _, term in some]
    ours = [statistics.mean(times[p][terms.index(one)] for p in range(1, arguments.passes)) for one in some]
    print(
        f"plain scan of {len(some)} terms: mean {statistics.mean(scans):.1f}, ours {statistics.mean(ours):.2f}, "
        f"ratio {statistics.mean(scans) / statistics.mean(ours):.0f}"
    )
    counts = [timed(lambda _: store.count(), "") for _ in range(3)]
    print(f"{store.count()} people, counted in {min(counts):.1f} to {max(counts):.1f} ms")
    show("insert", [timed(lambda _: create(store), "") for _ in range(2000)])


def create(store: PeopleStore) -> None:
    """Store a person."""
    store.add(Person(new_id(), new_id().hex(), "Ana Zulmira", "2000-01-01", ["Go", "SQL"]))


@contextmanager
def creating(config: Config, rate: int) -> Iterator[None]:
    """Create `rate` people a second, in a process of its own."""
    creator = multiprocessing.Process(target=create_steadily, args=(config, rate), daemon=True)
    if rate:
        creator.start()
    try:
        yield
    finally:
        if rate:
            creator.terminate()
            creator.join()


def create_steadily(config: Config, rate: int) -> None:
    """Create `rate` people a second for ever."""
    store = PeopleStore(config)
    started = time.monotonic()
    for number in itertools.count(1):
        create(store)
        time.sleep(max(0.0, started + number / rate - time.monotonic()))


def at_once(config: Config, clients: int, passes: int) -> list[float | None]:
    """Return the times of all terms, in another order for each of the clients; None for one that was stopped."""
    with multiprocessing.Pool(clients) as pool:
        return [one for some in pool.starmap(search_all, [(config, n, passes) for n in range(clients)]) for one in some]


def search_all(config: Config, seed: int, passes: int) -> list[float | None]:
    """Return the milliseconds of each search in an order of its own; None for one that was stopped."""
    store = PeopleStore(config)
    terms = [term for some in MIX.values() for term in some] * passes
    times: list[float | None] = []
    for term in random.Random(seed).sample(terms, len(terms)):
        started = time.perf_counter()
        try:
            store.search(term)
            times.append((time.perf_counter() - started) * 1000)
        except Unavailable:
            times.append(None)
    return times


def timed(ask: Callable[[Any], object], what: str) -> float:
    """Return the milliseconds that a call takes."""
    started = time.perf_counter()
    ask(what)
    return (time.perf_counter() - started) * 1000


def show(what: str, times: list[float]) -> None:
    """Print count, mean, percentiles and maximum of times."""
    ordered = sorted(times)
    p50, p95, p99 = (ordered[min(int(len(ordered) * share), len(ordered) - 1)] for share in (0.5, 0.95, 0.99))
    print(f"{what:<16} n {len(times):>5}  mean {statistics.mean(times):8.2f}  p50 {p50:7.2f}  p95 {p95:8.2f}  "
          f"p99 {p99:8.2f}  max {ordered[-1]:8.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
