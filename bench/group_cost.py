"""Prints what statements cost on one MySQL server and in a MySQL group, side by side.

    ./rinha up --detach --port 9998 && ./rinha seed --port 9998 10000
    ./rinha up --detach --port 9997 --members 3 && ./rinha seed --port 9997 10000
    PYTHONPATH=. .venv/bin/python -m bench.group_cost .rinha/9998 .rinha/9997

The stacks must receive no other traffic. In each round, every action runs for some seconds, in random order. "answers"
is the CPU of the server that executes the action, and "others" that of each other member, per action. The people that
the actions create stay in the stacks.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from statistics import mean, median

from bench.cost_per_request import cpu_of_group
from bench.search_latency import TERMS
from ops.sample_people import block
from ops.stack.data_directory import DataDirectory
from ops.stack.members import member_name, read_members
from ops.stack.mysql import connect_as_root
from service.config import Config
from service.member import Member
from service.person import Person, new_id
from service.store import INSERT, PeopleStore, insert_values

CONNECTIONS = 8  # that insert at the same time
BLOCKS = range(100_000, 900_000)  # of the sample people that are inserted; `seed` has stored the first blocks
AFTER = "SET SESSION group_replication_consistency = 'AFTER'"

Call = Callable[[], object]


@dataclass
class Action:
    """What is measured on a stack: the calls of each connection, and the member that executes them."""

    name: str
    connections: Sequence[Call]
    answering: int
    pids: Sequence[int]
    rounds: list[tuple[float, float, float]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Repeat the calls for so many seconds; record calls a second, and the CPU of a call in microseconds."""
        before, counts = [cpu_of_group(pid) for pid in self.pids], [0] * len(self.connections)
        started = time.monotonic()

        def repeat(number: int) -> None:
            while time.monotonic() - started < seconds:
                self.connections[number]()
                counts[number] += 1

        with ThreadPoolExecutor(len(self.connections)) as threads:
            list(threads.map(repeat, range(len(self.connections))))
        rate = sum(counts) / (time.monotonic() - started)
        time.sleep(0.2)  # in which the other members apply what they have received
        used = [(cpu_of_group(pid) - one) / sum(counts) for pid, one in zip(self.pids, before, strict=True)]
        others = [cpu for number, cpu in enumerate(used) if number != self.answering]
        self.rounds.append((rate, used[self.answering], mean(others) if others else 0.0))


def main() -> None:
    """Print the table for the stacks of some data directories."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="python -m bench.group_cost", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("directories", type=Path, nargs="+", metavar="DIRECTORY", help="the data directory of a running stack")
    add("--rounds", type=int, default=7, metavar="N", help="(default: %(default)s)")
    add("--seconds", type=float, default=2.0, metavar="S", help="of an action in a round (default: %(default)s)")
    arguments = parser.parse_args()
    actions = [action for path in arguments.directories for action in _actions(DataDirectory(path))]
    for _ in range(arguments.rounds):
        for action in random.sample(actions, len(actions)):
            action.run(arguments.seconds)
    print(f"{'':<46}{'a second':>10}{'from':>8}{'to':>8}{'answers, us':>14}{'others, us':>12}")
    for action in actions:
        rates, answering, others = (list(column) for column in zip(*action.rounds, strict=True))
        print(
            f"{action.name:<46}{median(rates):10,.0f}{min(rates):8,.0f}{max(rates):8,.0f}"
            f"{median(answering):14,.0f}{median(others):12,.0f}"
        )


def _actions(directory: DataDirectory) -> Iterator[Action]:
    """Yield what to measure on a stack."""
    names = [member_name(number) for number in range(1, len(directory.members) + 1)]
    components = directory.running().components
    pids = [components[name].pid for name in names]
    primary = secondary = 0
    configs = [directory.config()]
    if len(names) > 1:
        configs = [replace(one, db_hosts="") for one in directory.config().members()]
        primary = next(number for number, member in enumerate(read_members(directory)) if member.is_primary)
        secondary = (primary + 1) % len(names)
    title = f"{directory.path.name}, {f'group of {len(names)}' if len(names) > 1 else 'one server'}"
    socket = directory.members[primary].mysql_socket
    for connections in (1, CONNECTIONS):
        yield Action(f"{title}: INSERT, {connections} connections", _inserts(socket, connections), primary, pids)
        if len(names) > 1:
            calls = _inserts(socket, connections, AFTER)
            yield Action(f"{title}: INSERT with AFTER, {connections} connections", calls, primary, pids)
    yield Action(f"{title}: read by id", [_reads(configs[secondary])], secondary, pids)
    yield Action(f"{title}: search", [_searches(configs[secondary])], secondary, pids)
    if len(names) > 1:
        yield Action(f"{title}: wait for the group", [Member(configs[secondary]).catch_up], secondary, pids)


_blocks = count(random.choice(BLOCKS))


def _inserts(socket: Path, connections: int, *before: str) -> list[Call]:
    """Return calls that each insert a person, on connections of MySQL's root."""
    return [_insert(socket, before) for _ in range(connections)]


def _insert(socket: Path, before: Sequence[str]) -> Call:
    cursor = connect_as_root(socket, database="rinha").cursor()
    for statement in before:
        cursor.execute(statement)
    people = (person for number in _blocks for person in block(number))

    def insert() -> None:
        cursor.execute(INSERT, insert_values(Person(new_id(), *next(people))))

    return insert


def _reads(config: Config) -> Call:
    """Return a call that reads one of the newest people by id."""
    store = PeopleStore(config)
    ids = [person.id for person in store.search("a")]
    return lambda: store.get(random.choice(ids))


def _searches(config: Config) -> Call:
    """Return a call that searches for a term of the mix."""
    store = PeopleStore(config)
    return lambda: store.search(random.choice(TERMS)[1])


if __name__ == "__main__":
    main()
