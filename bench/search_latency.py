"""Prints how long searches for a fixed mix of terms take in a running stack, compared with table scans.

    ./rinha seed 1000000
    PYTHONPATH=. .venv/bin/python -m bench.search_latency .rinha/9999

Times are of the store in milliseconds, without HTTP. The first pass after a start of MySQL reads from disk. While the
searches run, another process creates people at a fixed rate. These people stay in the stack.
"""

import argparse
import itertools
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.statistics import percentile
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
TERMS = [(kind, term) for kind, terms in MIX.items() for term in terms]
SLOWEST = 6  # terms to print
INSERTS = 2000


class _Search(NamedTuple):
    """A search for a term of a kind: its time in milliseconds, and whether it was answered."""

    kind: str
    term: str
    milliseconds: float
    answered: bool


def main() -> None:
    """Print the table for the database of a data directory."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="python -m bench.search_latency", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("directory", type=Path, help="the data directory of a running stack")
    add("--passes", type=int, default=3, metavar="N", help="search for each term N times, at least 2 (default: 3)")
    add("--beside", type=int, default=50, metavar="N", help="create N people a second meanwhile (default: %(default)s)")
    add("--clients", type=int, default=0, metavar="N", help="then search with N processes at once (default: none)")
    add("--scan-every", type=int, default=1, metavar="N", help="compare each Nth term with a table scan (default: 1)")
    arguments = parser.parse_args()
    config = DataDirectory(arguments.directory).config()
    store = PeopleStore(config)
    parallel: list[_Search] = []
    with _creating(config, arguments.beside):
        first = _search(store, "", "the first search of a store takes the sample")
        passes = [[_search(store, *one) for one in TERMS] for _ in range(arguments.passes)]
        if arguments.clients:
            parallel = _search_at_once(config, arguments.clients, arguments.passes)
    print(
        f"first search, with the sample: {first.milliseconds:.0f} ms; {arguments.beside} creations a second meanwhile"
    )
    _print_passes(passes)
    if parallel:
        _print_times(f"{arguments.clients} at once", [one.milliseconds for one in parallel if one.answered])
        print(f"stopped: {sum(not one.answered for one in parallel)} of {len(parallel)}")
    _print_scans(config, passes[1:], arguments.scan_every)
    counts = [_timed(store.count) for _ in range(3)]
    print(f"{store.count()} people, counted in {min(counts):.1f} to {max(counts):.1f} ms")
    _print_times("insert", [_timed(lambda: _create(store)) for _ in range(INSERTS)])


def _print_passes(passes: Sequence[Sequence[_Search]]) -> None:
    later = list(itertools.chain(*passes[1:]))
    _print_times("first pass", [one.milliseconds for one in passes[0]])
    _print_times("later passes", [one.milliseconds for one in later])
    for kind in MIX:
        _print_times(f"  {kind}", [one.milliseconds for one in later if one.kind == kind])
    slowest = sorted(later, key=lambda one: one.milliseconds, reverse=True)[:SLOWEST]
    stopped = sorted({one.term for one in itertools.chain(*passes) if not one.answered})
    print("slowest:", ", ".join(f"{one.term} {one.milliseconds:.0f}" for one in slowest))
    print("stopped:", ", ".join(stopped) or "none")


def _print_scans(config: Config, passes: Sequence[Sequence[_Search]], every: int) -> None:
    """Compare the searches for each `every`-th term with a scan of the table, which stops at the 50th match."""
    with connect_as_root(Path(config.db_socket), database="rinha") as connection:
        cursor = connection.cursor()

        def scan(term: str) -> float:
            return _timed(lambda: cursor.execute(SCAN.format(hint=""), (f"%{term}%",)))

        scans = statistics.mean(scan(term) for _, term in TERMS[::every])
    searches = statistics.mean(one.milliseconds for searches in passes for one in searches[::every])
    print(
        f"{len(TERMS[::every])} terms: a scan takes {scans:.1f} ms on average, a search {searches:.2f} ms, "
        f"ratio {scans / searches:.0f}"
    )


def _create(store: PeopleStore) -> None:
    store.add(Person(new_id(), new_id().hex(), "Ana Zulmira", "2000-01-01", ["Go", "SQL"]))


@contextmanager
def _creating(config: Config, rate: int) -> Iterator[None]:
    """Create `rate` people a second in another process until the end of the context."""
    creator = multiprocessing.Process(target=_create_steadily, args=(config, rate), daemon=True)
    if rate:
        creator.start()
    try:
        yield
    finally:
        if rate:
            creator.terminate()
            creator.join()


def _create_steadily(config: Config, rate: int) -> None:
    store = PeopleStore(config)
    started = time.monotonic()
    for number in itertools.count(1):
        _create(store)
        time.sleep(max(0.0, started + number / rate - time.monotonic()))


def _search_at_once(config: Config, clients: int, passes: int) -> list[_Search]:
    """Search for all terms with several processes at once, each in a random order."""
    with multiprocessing.Pool(clients) as pool:
        results = pool.starmap(_search_all, [(config, seed, passes) for seed in range(clients)])
    return list(itertools.chain(*results))


def _search_all(config: Config, seed: int, passes: int) -> list[_Search]:
    store = PeopleStore(config)
    terms = TERMS * passes
    return [_search(store, *one) for one in random.Random(seed).sample(terms, len(terms))]


def _search(store: PeopleStore, kind: str, term: str) -> _Search:
    answered = True
    started = time.perf_counter()
    try:
        store.search(term)
    except Unavailable:
        answered = False
    return _Search(kind, term, (time.perf_counter() - started) * 1000, answered)


def _timed(action: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def _print_times(name: str, times: Sequence[float]) -> None:
    """Print count, mean, percentiles and maximum of times in milliseconds."""
    ordered = sorted(times)
    p50, p95, p99 = (percentile(ordered, percent) for percent in (50, 95, 99))
    print(
        f"{name:<16} n {len(times):>5}  mean {statistics.mean(times):8.2f}  p50 {p50:7.2f}  p95 {p95:8.2f}  "
        f"p99 {p99:8.2f}  max {ordered[-1]:8.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
