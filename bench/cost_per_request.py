"""Prints what one request costs each component of a running stack while nobody else asks, in microseconds of CPU.

    ./rinha up --detach
    PYTHONPATH=. .venv/bin/python -m bench.cost_per_request .rinha/9999

Each line is a closed loop of one client: first without a pause, when all caches of the processor are warm, then with
pauses. From nginx's own answer and an empty Falcon resource to whole requests, one component is added after the other.
"""

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql

from bench.people import CREATED, Payload, payloads, terms
from bench.wire import ask
from ops.client import person_path, search_path
from ops.stack.data_directory import DataDirectory
from ops.system.processes import members
from service.document import read_object
from service.errors import NicknameTaken
from service.person import OFFICIAL, Person, format_id, parse_person
from service.store import PeopleStore

Act = Callable[[int], object]


def main() -> None:
    """Print the table for the stack of a data directory, whose people it adds to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="the data directory of a running stack")
    parser.add_argument("--requests", type=int, default=2000, metavar="N", help="of each kind (default: %(default)s)")
    parser.add_argument("--pauses", type=float, nargs="*", default=[0, 1, 5], metavar="MS", help="before each request")
    arguments = parser.parse_args()
    directory = DataDirectory(arguments.directory)
    components = {name: component.pid for name, component in directory.running().components.items()}
    names = ("nginx", "API", "mysqld", "this process")

    def used() -> list[float]:
        apis = [pid for name, pid in components.items() if name.startswith("api")]
        groups = [[components["nginx"]], apis, [components["mysql"]]]
        return [sum(map(_cpu, group)) for group in groups] + [time.process_time() * 1e6]

    print(f"{'':<46} pause" + "".join(f"{name:>14}" for name in names))
    for what, act in _acts(directory, arguments.requests * len(arguments.pauses)):
        for turn, pause in enumerate(arguments.pauses):
            before = used()
            for number in range(turn * arguments.requests, (turn + 1) * arguments.requests):
                if pause:
                    time.sleep(pause / 1000)
                act(number)
            costs = [(after - then) / arguments.requests for then, after in zip(before, used(), strict=True)]
            print(f"{what:<46} {pause:2.0f} ms" + "".join(f"{cost:14.0f}" for cost in costs), flush=True)


def _acts(directory: DataDirectory, count: int) -> Iterator[tuple[str, Act]]:
    """Yield what to measure: its name, and a function of how often it was called before."""
    front, instance = f"127.0.0.1:{directory.running().port}", f"unix:{directory.run}/api1.1.sock"
    config = directory.config(db_timeout=10)
    store = PeopleStore(config)
    bare = pymysql.connect(
        unix_socket=config.db_socket, user=config.db_user, password=config.db_password, database=config.db_name,
        autocommit=True, ssl_disabled=True,
    )  # fmt: skip
    ours, others = _valid(count, time.time_ns()), _valid(count, time.time_ns())
    long_terms = [term for term in terms(1, 2 * count) if len(term) > 3][:count]
    yield "nginx's own answer", lambda n: ask(front, "GET", "/health/live")
    yield "bjoern, an empty Falcon resource", lambda n: ask(instance, "GET", "/health/live")
    yield "SELECT 1 by the driver", lambda n: bare.query("SELECT 1")
    people = [parse_person(read_object(one.body.encode()), OFFICIAL) for one in ours]
    yield "the store adds a person", lambda n: _add(store, people[n])
    yield "the store gets a person", lambda n: store.get(people[n].id)
    yield "the store searches, four letters or more", lambda n: store.search(long_terms[n])
    yield "POST /pessoas", lambda n: ask(front, "POST", "/pessoas", others[n].body.encode())
    yield "GET /pessoas/{id}", lambda n: ask(front, "GET", person_path(format_id(people[n].id)))
    yield "GET /pessoas?t=", lambda n: ask(front, "GET", search_path(long_terms[n]))


def _valid(count: int, seed: int) -> list[Payload]:
    return [one for one in payloads(seed, 2 * count) if one.status == CREATED][:count]


def _add(store: PeopleStore, person: Person) -> None:
    with contextlib.suppress(NicknameTaken):  # the shortest may come twice
        store.add(person)


def _cpu(group: int) -> float:
    """Return the CPU that a process group has used, in microseconds: /proc's own ticks are of 10 ms."""
    tasks = [task for pid in members(group) for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000


if __name__ == "__main__":
    main()
