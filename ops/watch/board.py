"""Draws the numbers of a stack for people."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from ops.stack.members import Member, member_name
from ops.watch.components import ComponentNumbers, total_restarts
from ops.watch.database import DatabaseNumbers
from ops.watch.requests import KindNumbers
from ops.watch.stack import Snapshot

FULL = 0.9  # share of a limit from which a number stands out
LONG = 1000  # milliseconds from which a duration stands out
NOTE, BAD, DIM = "yellow", "bold red", "dim"
GAP = "  "  # between two columns
MIN_WIDTH = 6  # of a column, so that it does not move with each digit

Numbers = TypeVar("Numbers")
Cell = tuple[str, str]  # a text, and its style
Line = Sequence[Cell]
Order = tuple[str, Callable[[Numbers], float]]  # the name of a number, and the number


class Column(NamedTuple, Generic[Numbers]):
    """A column of a table. If the terminal is too narrow, the columns of the greatest `rank` are left out first."""

    heading: str
    cell: Callable[[Numbers], Cell]
    rank: int = 0


def _time_column(name: str, rank: int) -> Column[KindNumbers]:
    def cell(one: KindNumbers) -> Cell:
        return (f"{one.times[name]:,}", BAD if one.times[name] >= LONG else "") if one.times else ("-", DIM)

    return Column(f"{name} ms", cell, rank)


REQUESTS: Sequence[Column[KindNumbers]] = (
    Column("a second", lambda one: (f"{one.per_second:,.1f}", "")),
    Column("2xx", lambda one: (f"{one.statuses.get('2xx', 0):,}", ""), 1),
    Column("4xx", lambda one: _noted(one.statuses.get("4xx", 0), NOTE), 2),
    Column("errors", lambda one: _noted(one.errors, BAD)),
    Column("slow", lambda one: _noted(one.slow, NOTE), 2),
    _time_column("p50", 2),
    _time_column("p95", 3),
    _time_column("p99", 0),
    _time_column("max", 3),
)
COMPONENTS: Sequence[Column[ComponentNumbers]] = (
    Column("state", lambda one: ("runs", "") if one.alive else ("dead", BAD)),
    Column("processes", lambda one: (str(one.processes), ""), 2),
    Column("CPU", lambda one: _limited(f"{one.cpus:.2f}", one.cpus, one.cpu_limit)),
    Column("limit", lambda one: (f"{one.cpu_limit:.2f}", "") if one.cpu_limit else ("-", DIM), 2),
    Column("held back", lambda one: _noted(round(100 * one.throttled), NOTE, " %"), 3),
    Column("MB", lambda one: _limited(f"{one.memory >> 20:,}", one.memory, one.memory_limit)),
    Column("limit", lambda one: (f"{one.memory_limit >> 20:,}", "") if one.memory_limit else ("-", DIM), 2),
    Column("restarts", lambda one: _noted(one.restarts, BAD), 1),
    Column("new workers", lambda one: _noted(one.replaced, BAD), 1),
)
MEMBERS: Sequence[Column[Member]] = (
    Column("state", lambda one: (one.state, "" if one.state == "ONLINE" else BAD)),
    Column("role", lambda one: (one.role or "-", "" if one.role else DIM)),
    Column("behind", lambda one: ("-", DIM) if one.behind is None else _noted(one.behind, NOTE)),
)

# What a key sorts by. Without one, requests and components stand in their natural order.
REQUEST_ORDERS: Mapping[str, Order[KindNumbers]] = {
    "1": ("rate", lambda one: one.per_second),
    "2": ("errors", lambda one: one.errors),
    "3": ("p99", lambda one: one.times.get("p99", 0)),
    "4": ("slow", lambda one: one.slow),
}
COMPONENT_ORDERS: Mapping[str, Order[ComponentNumbers]] = {
    "c": ("CPU", lambda one: one.cpus),
    "m": ("memory", lambda one: one.memory),
    "r": ("restarts", lambda one: one.restarts + one.replaced),
}
HELP = (
    "q quit",
    "p pause",
    "sort by 1 rate",
    "2 errors",
    "3 p99",
    "4 slow",
    "c CPU",
    "m memory",
    "r restarts",
    "0 none",
)


class View(NamedTuple):
    """What the person has chosen: the keys of the orders, "" for the natural one, and whether the board is paused."""

    requests: str = ""
    components: str = ""
    paused: bool = False

    def after(self, key: str) -> "View":
        """Return the view after a key."""
        if key == "p":
            return self._replace(paused=not self.paused)
        if key == "0":
            return self._replace(requests="", components="")
        if key in REQUEST_ORDERS:
            return self._replace(requests=key)
        return self._replace(components=key) if key in COMPONENT_ORDERS else self


def board(snapshot: Snapshot, view: View, width: int) -> list[Line]:
    """Return the lines of the board for a terminal of so many columns."""
    requests, components = REQUEST_ORDERS.get(view.requests), COMPONENT_ORDERS.get(view.components)
    lines = [
        *_flow(_heading(snapshot, view), width),
        (),
        *_table("requests", REQUESTS, _ordered(snapshot.requests, requests), width),
        *([] if snapshot.log_has_room else [[("the disk is full: requests are missing here", BAD)]]),
        (),
    ]
    if snapshot.running:
        lines += [
            *_table("component", COMPONENTS, _ordered(snapshot.components, components), width),
            (),
            *_members(snapshot.members, width),
            *_flow(_database(snapshot.database), width),
            (),
        ]
    return [*lines, *_flow([(text, DIM) for text in HELP], width)]


def _heading(snapshot: Snapshot, view: View) -> list[Cell]:
    cells = [(f"http://localhost:{snapshot.port}", "bold")]
    if not snapshot.running:
        cells.append(("nothing is running; ./rinha up starts the stack", BAD))
    elif not snapshot.ready:
        cells.append(("starting", NOTE))
    else:
        restarts = total_restarts(snapshot.components.values())
        cells += [(f"up {duration(snapshot.uptime)}", ""), (f"restarts {restarts}", BAD if restarts else "")]
    cells.append((time.strftime("%H:%M:%S", time.localtime(snapshot.time)), DIM))
    orders = (REQUEST_ORDERS.get(view.requests), COMPONENT_ORDERS.get(view.components))
    cells += [(f"sorted by {order[0]}", DIM) for order in orders if order]
    return [*cells, ("paused, p continues", "reverse")] if view.paused else cells


def _database(numbers: DatabaseNumbers) -> list[Cell]:
    cells: list[Cell] = []
    if numbers.silent_seconds:
        cells.append((f"MySQL has not answered for {numbers.silent_seconds:.1f} s", BAD))
    if numbers.read_only:
        cells.append(("read-only, because the disk is nearly full", BAD))
    if numbers.online < numbers.members:
        cells.append((f"{numbers.online} of {numbers.members} members of the MySQL group are online", BAD))
    people = "unknown" if numbers.people is None else f"{numbers.people:,}"
    return [
        *cells,
        (f"people {people}", "bold"),
        (f"syncs of the index {numbers.syncs:,}", ""),
        (f"statements now {numbers.running:,}", ""),
        (f"waiting for a lock {numbers.lock_waits:,}", NOTE if numbers.lock_waits else ""),
    ]


def _members(members: Sequence[Member], width: int) -> Iterator[Line]:
    if members:
        yield from _table("member", MEMBERS, [(member_name(one.number), one) for one in members], width)
        yield ()


def _ordered(rows: Mapping[str, Numbers], order: Order[Numbers] | None) -> Sequence[tuple[str, Numbers]]:
    """Return the rows, those with the greatest numbers first if there is an order."""
    if not order:
        return list(rows.items())
    _, number = order
    return sorted(rows.items(), key=lambda row: -number(row[1]))


def _table(
    name: str, columns: Sequence[Column[Numbers]], rows: Sequence[tuple[str, Numbers]], width: int
) -> Iterator[Line]:
    """Yield the lines of a table, with as many columns as the width has room for."""
    names = [(name, DIM), *((row, "") for row, _ in rows)]
    ranked = [(column.rank, [(column.heading, DIM), *(column.cell(one) for _, one in rows)]) for column in columns]
    while _width(names, ranked) > width and (widest := max(rank for rank, _ in ranked)):
        ranked = [(rank, cells) for rank, cells in ranked if rank < widest]
    aligned = [_aligned(names, str.ljust), *(_aligned(cells, str.rjust) for _, cells in ranked)]
    for line in zip(*aligned, strict=True):
        yield [line[0], *((GAP + text, style) for text, style in line[1:])]


def _width(names: Sequence[Cell], ranked: Sequence[tuple[int, Sequence[Cell]]]) -> int:
    """Return the columns of the terminal that a table needs."""
    return _longest(names) + sum(len(GAP) + _longest(cells) for _, cells in ranked)


def _aligned(cells: Sequence[Cell], adjust: Callable[[str, int], str]) -> list[Cell]:
    size = _longest(cells)
    return [(adjust(text, size), style) for text, style in cells]


def _longest(cells: Sequence[Cell]) -> int:
    return max(MIN_WIDTH, *(len(text) for text, _ in cells))


def _flow(cells: Sequence[Cell], width: int) -> Iterator[Line]:
    """Yield lines of cells, each as many cells as the width has room for."""
    line: list[Cell] = []
    used = 0
    for text, style in cells:
        if line and used + len(GAP) + len(text) > width:
            yield line
            line, used = [], 0
        if line:
            line.append((GAP, ""))
            used += len(GAP)
        line.append((text, style))
        used += len(text)
    yield line


def _noted(number: int, style: str, unit: str = "") -> Cell:
    """Return a number that stands out unless it is 0."""
    return f"{number:,}{unit}", style if number else ""


def _limited(text: str, used: float, limit: float) -> Cell:
    """Return a text that stands out if what is used is near its limit."""
    return text, NOTE if limit and used >= FULL * limit else ""


def duration(seconds: float) -> str:
    """Return a duration in its two greatest units."""
    whole = int(seconds)
    for unit, size, smaller, rest in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // rest} {smaller}"
    return f"{whole} s"
