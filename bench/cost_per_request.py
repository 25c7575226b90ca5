"""Prints how much CPU one request costs each component of a running stack that receives no other traffic.

    ./rinha up --detach
    PYTHONPATH=. .venv/bin/python -m bench.cost_per_request .rinha/9999

Costs are in microseconds. Each line is a closed loop of one client: first without a pause, when all caches of the
processor are warm, then with pauses. From nginx's own answer to whole requests, each line involves more components.
"""

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pymysql

from bench.people import CREATED, Payload, payloads, terms
from bench.wire import send
from ops.client import person_path, search_path
from ops.stack.data_directory import DataDirectory
from ops.system.processes import members
from service.document import read_object
from service.errors import NicknameTaken
from service.person import OFFICIAL, Person, format_id, parse_person
from service.store import PeopleStore

COMPONENTS = ("nginx", "API", "mysqld", "this process")

Action = Callable[[int], object]  # receives how often it was called before


def main() -> None:
    """Print the table for the stack of a data directory. The people that it creates stay in the stack."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="python -m bench.cost_per_request", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("directory", type=Path, help="the data directory of a running stack")
    add("--requests", type=int, default=2000, metavar="N", help="the requests of each line (default: %(default)s)")
    add("--pauses", type=float, nargs="*", default=[0, 1, 5], metavar="MS", help="before each request (default: 0 1 5)")
    arguments = parser.parse_args()
    directory = DataDirectory(arguments.directory)
    pids = {name: component.pid for name, component in directory.running().components.items()}
    print(f"{'':<46} pause" + "".join(f"{name:>14}" for name in COMPONENTS))
    for name, action in _actions(directory, arguments.requests * len(arguments.pauses)):
        for turn, pause in enumerate(arguments.pauses):
            before = _used(pids)
            for number in range(turn * arguments.requests, (turn + 1) * arguments.requests):
                if pause:
                    time.sleep(pause / 1000)
                action(number)
            costs = [(new - old) / arguments.requests for old, new in zip(before, _used(pids), strict=True)]
            print(f"{name:<46} {pause:2.0f} ms" + "".join(f"{cost:14.0f}" for cost in costs), flush=True)


def _used(pids: Mapping[str, int]) -> list[float]:
    """Return the CPU that each of `COMPONENTS` has used so far, in microseconds."""
    instances = [pid for name, pid in pids.items() if name.startswith("api")]
    groups = [[pids["nginx"]], instances, [pids["mysql"]]]
    return [sum(map(cpu_of_group, group)) for group in groups] + [time.process_time() * 1e6]


def _actions(directory: DataDirectory, count: int) -> Iterator[tuple[str, Action]]:
    """Yield what to measure, by name; each action can be called `count` times."""
    nginx, instance = f"127.0.0.1:{directory.running().port}", f"unix:{directory.run}/api1.1.sock"
    config = directory.config(db_timeout=10)
    store = PeopleStore(config)
    connection = pymysql.connect(
        unix_socket=config.db_socket,
        user=config.db_user,
        password=config.db_password,
        database=config.db_name,
        autocommit=True,
        ssl_disabled=True,
    )
    people = [parse_person(read_object(one.body.encode()), OFFICIAL) for one in _valid(count, time.time_ns())]
    bodies = [one.body.encode() for one in _valid(count, time.time_ns())]
    long_terms = [term for term in terms(1, 2 * count) if len(term) > 3][:count]
    yield "nginx's own answer", lambda n: send(nginx, "GET", "/health/live")
    yield "bjoern, an empty Falcon resource", lambda n: send(instance, "GET", "/health/live")
    yield "SELECT 1 by the driver", lambda n: connection.query("SELECT 1")
    yield "the store adds a person", lambda n: _add(store, people[n])
    yield "the store gets a person", lambda n: store.get(people[n].id)
    yield "the store searches, four letters or more", lambda n: store.search(long_terms[n])
    yield "POST /pessoas", lambda n: send(nginx, "POST", OFFICIAL.people, bodies[n])
    yield "GET /pessoas/{id}", lambda n: send(nginx, "GET", person_path(format_id(people[n].id)))
    yield "GET /pessoas?t=", lambda n: send(nginx, "GET", search_path(long_terms[n]))


def _valid(count: int, seed: int) -> list[Payload]:
    return [one for one in payloads(seed, 2 * count) if one.status == CREATED][:count]


def _add(store: PeopleStore, person: Person) -> None:
    with contextlib.suppress(NicknameTaken):  # of the generated people, some have the same short nickname
        store.add(person)


def cpu_of_group(group: int) -> float:
    """Return the CPU that a process group has used, in microseconds; the ticks in /proc/PID/stat are of 10 ms."""
    tasks = [task for pid in members(group) for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000


if __name__ == "__main__":
    main()
