"""What Gatling's log and the samples of the components say: requests, percentiles, time lines, consumption."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

ALL = "all"
KINDS = ("create", "read", "search", "invalid search")  # the order of tables and colours; others follow
PERCENTILES = (50, 75, 95, 99)
Series = Mapping[str, Sequence[float | None]]
# Each sample: {"t": epoch seconds, "components": {name: {"cpu_s": so far, "rss_mb": now}}}
Samples = Sequence[Mapping[str, Any]]


class Request(NamedTuple):
    """One request as Gatling saw it: times in epoch milliseconds, the message empty if it was OK."""

    kind: str
    start: int
    end: int
    ok: bool
    message: str


@dataclass(frozen=True)
class Run:
    """What one simulation.log says; `start` is in epoch milliseconds."""

    gatling: str
    start: int
    requests: list[Request]

    @property
    def seconds(self) -> float:
        """Return the time from the start to the last answer."""
        return max((r.end - self.start for r in self.requests), default=0) / 1000


@dataclass(frozen=True)
class Summary:
    """The requests of one kind; `latency` has p50 to p99 and max in ms of the OK ones, or nothing."""

    count: int
    ok: int
    ko: int
    errors: dict[str, int]
    latency: dict[str, int]


def parse(lines: Iterable[str]) -> Run:
    """Read the text log of Gatling 3.9 or 3.10; an unfinished last line is left out."""
    gatling, start, requests = "", 0, []
    for line in lines:
        match line.rstrip("\n").split("\t"):
            case ["REQUEST", _, kind, begin, end, ("OK" | "KO") as status, message]:
                requests.append(Request(kind, int(begin), int(end), status == "OK", message.strip()))
            case ["ERROR", message, time]:
                requests.append(Request("load generator", int(time), int(time), False, message.strip()))
            case ["RUN", _, _, time, _, gatling]:
                start = int(time)
    if not gatling:
        raise ValueError("not a text log of Gatling: it has no RUN line")
    return Run(gatling, start, requests)


def percentile(ordered: Sequence[int], percent: float) -> int:
    """Return the smallest of these sorted values that at least `percent` of them do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def summarise(requests: Iterable[Request]) -> dict[str, Summary]:
    """Sum up each kind that occurs, then all; the count of `create` is the number of payloads sent."""
    groups: dict[str, list[Request]] = {ALL: []}
    for request in requests:
        groups[ALL].append(request)
        groups.setdefault(request.kind, []).append(request)
    order = sorted(groups, key=lambda kind: (kind == ALL, (*KINDS, kind).index(kind), kind))
    return {kind: _summary(groups[kind]) for kind in order}


def _summary(requests: list[Request]) -> Summary:
    times = sorted(r.end - r.start for r in requests if r.ok)
    errors = Counter(r.message or "no message" for r in requests if not r.ok)
    latency = {f"p{p}": percentile(times, p) for p in PERCENTILES} | {"max": times[-1]} if times else {}
    return Summary(len(requests), len(times), errors.total(), dict(errors.most_common()), latency)


def timeline(run: Run) -> tuple[list[float], Series, Series, Series]:
    """Return seconds; answers a second by kind; percentiles of the OK ones in ms; KO a second by kind."""
    width = max(1, math.ceil(run.seconds / 240))
    bins: list[list[Request]] = [[] for _ in range(int(run.seconds / width) + 1)]
    for request in run.requests:
        bins[max(0, request.end - run.start) // (1000 * width)].append(request)
    counts = [Counter((r.kind, r.ok) for r in b) for b in bins]
    kinds = [kind for kind in summarise(run.requests) if kind != ALL]
    times = [sorted(r.end - r.start for r in b if r.ok) for b in bins]
    latency = {f"p{p}": [percentile(t, p) if t else None for t in times] for p in (50, 95, 99)}
    failed = {kind: [count[kind, False] / width for count in counts] for kind in kinds}
    rates = {kind: [(count[kind, True] + count[kind, False]) / width for count in counts] for kind in kinds}
    rates["KO"] = [sum(not r.ok for r in b) / width for b in bins]
    return [i * width for i in range(len(bins))], rates, latency, failed


def usage(samples: Samples, start: int) -> tuple[list[float], Series, Series]:
    """Return moments in seconds after `start` (epoch ms); the CPUs in use and the MB of each component."""
    pairs = [(a, b) for a, b in pairwise(samples) if b["t"] > a["t"] and b["t"] * 1000 >= start]
    cpus: dict[str, list[float]] = {component: [] for sample in samples for component in sample["components"]}
    memory: dict[str, list[float]] = {component: [] for component in cpus}
    for component, rates in cpus.items():
        for before, after in pairs:
            old, new = (sample["components"].get(component, {}) for sample in (before, after))
            spent = new.get("cpu_s", 0) - old.get("cpu_s", 0)  # negative only if the component was restarted
            rates.append(max(0, spent) / (after["t"] - before["t"]))
            memory[component].append(new.get("rss_mb", 0))
    return [after["t"] - start / 1000 for _, after in pairs], cpus, memory


def resources(samples: Samples) -> dict[str, dict[str, float]]:
    """Return the CPU seconds and the highest memory of each component, and of all of them together."""
    moments, *both = usage(samples, 0)
    lengths = [b - a for a, b in pairwise([sample["t"] for sample in samples[:1]] + moments)]
    cpus, memory = ({**s, ALL: [sum(row) for row in zip(*s.values(), strict=True)]} for s in both)
    spent = {component: sum(c * s for c, s in zip(values, lengths, strict=True)) for component, values in cpus.items()}
    return {p: {"cpu_s": round(spent[p], 2), "peak_mb": round(max(memory[p], default=0), 1)} for p in spent}
