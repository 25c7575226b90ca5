"""Reads Gatling's log and the samples of the components: requests, percentiles, time lines, resources."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

ALL = "all"
KINDS = ("create", "read", "search", "invalid search")  # in the order of tables and colours; other kinds follow
PERCENTILES = (50, 75, 95, 99)
MAX_BINS = 240  # of a time line
Series = Mapping[str, Sequence[float | None]]
# A sample is {"t": seconds since the epoch, "components": {name: {"cpu_s": seconds so far, "rss_mb": MB now}}}.
Samples = Sequence[Mapping[str, Any]]

_Number = TypeVar("_Number", int, float)


class Request(NamedTuple):
    """A request in Gatling's log: times in milliseconds since the epoch; the message is empty if it was OK."""

    kind: str
    start: int
    end: int
    ok: bool
    message: str


@dataclass(frozen=True)
class Run:
    """The contents of a simulation.log; `start` is in milliseconds since the epoch."""

    gatling: str
    start: int
    requests: list[Request]

    @property
    def seconds(self) -> float:
        """The time from the start to the last answer."""
        return max((request.end - self.start for request in self.requests), default=0) / 1000


@dataclass(frozen=True)
class Summary:
    """The requests of one kind. `latency` has p50 to p99 and max of the OK requests in ms; nothing if none was OK."""

    count: int
    ok: int
    ko: int
    errors: dict[str, int]
    latency: dict[str, int]


def parse(lines: Iterable[str]) -> Run:
    """Return the contents of a text log of Gatling 3.9 or 3.10, without an unfinished last line.

    Raises ValueError if the lines are no such log.
    """
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


def percentile(ordered: Sequence[_Number], percent: float) -> _Number:
    """Return the nearest-rank percentile: the smallest value that `percent` % of the sorted values do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def summarise(requests: Iterable[Request]) -> dict[str, Summary]:
    """Return a summary of each kind that occurs, then of all requests."""
    groups: dict[str, list[Request]] = {ALL: []}
    for request in requests:
        groups[ALL].append(request)
        groups.setdefault(request.kind, []).append(request)
    order = sorted(groups, key=lambda kind: (kind == ALL, (*KINDS, kind).index(kind), kind))
    return {kind: _summary(groups[kind]) for kind in order}


def _summary(requests: list[Request]) -> Summary:
    times = _latencies(requests)
    errors = Counter(request.message or "no message" for request in requests if not request.ok)
    latency = {f"p{percent}": percentile(times, percent) for percent in PERCENTILES} if times else {}
    if times:
        latency["max"] = times[-1]
    return Summary(len(requests), len(times), errors.total(), dict(errors.most_common()), latency)


def _latencies(requests: Iterable[Request]) -> list[int]:
    """Return the sorted times of the OK requests, in milliseconds."""
    return sorted(request.end - request.start for request in requests if request.ok)


def timeline(run: Run) -> tuple[list[float], Series, Series, Series]:
    """Return the time line of a run's requests, in bins of whole seconds.

    Returns four values: the seconds at which the bins start, the answers a second by kind, the percentiles of the OK
    requests in ms, and the failed requests a second by kind. Among the kinds of answers, "KO" is all failed requests.
    """
    width = max(1, math.ceil(run.seconds / MAX_BINS))
    bins: list[list[Request]] = [[] for _ in range(int(run.seconds / width) + 1)]
    for request in run.requests:
        bins[max(0, request.end - run.start) // (1000 * width)].append(request)
    counts = [Counter((request.kind, request.ok) for request in requests) for requests in bins]
    kinds = [kind for kind in summarise(run.requests) if kind != ALL]
    times = [_latencies(requests) for requests in bins]
    latency = {f"p{percent}": [percentile(t, percent) if t else None for t in times] for percent in (50, 95, 99)}
    failed = {kind: [count[kind, False] / width for count in counts] for kind in kinds}
    rates = {kind: [(count[kind, True] + count[kind, False]) / width for count in counts] for kind in kinds}
    rates["KO"] = [sum(not request.ok for request in requests) / width for requests in bins]
    return [number * width for number in range(len(bins))], rates, latency, failed


def resource_timeline(
    samples: Samples, start: int
) -> tuple[list[float], dict[str, list[float]], dict[str, list[float]]]:
    """Return the resources of each component since `start`, in milliseconds since the epoch.

    Returns the seconds after `start` at which samples were taken, the CPUs in use before each, and the MB at each.
    """
    pairs = [
        (before, after)
        for before, after in pairwise(samples)
        if after["t"] > before["t"] and after["t"] * 1000 >= start
    ]
    cpus: dict[str, list[float]] = {component: [] for sample in samples for component in sample["components"]}
    memory: dict[str, list[float]] = {component: [] for component in cpus}
    for component, rates in cpus.items():
        for before, after in pairs:
            old, new = (sample["components"].get(component, {}) for sample in (before, after))
            spent = new.get("cpu_s", 0) - old.get("cpu_s", 0)  # negative if the component was restarted
            rates.append(max(0, spent) / (after["t"] - before["t"]))
            memory[component].append(new.get("rss_mb", 0))
    return [after["t"] - start / 1000 for _, after in pairs], cpus, memory


def resources(samples: Samples) -> dict[str, dict[str, float]]:
    """Return the CPU seconds and the peak memory in MB of each component, then of all components together."""
    moments, cpus, memory = resource_timeline(samples, 0)
    durations = [after - before for before, after in pairwise([sample["t"] for sample in samples[:1]] + moments)]
    for series in (cpus, memory):
        series[ALL] = [sum(values) for values in zip(*series.values(), strict=True)]
    return {
        component: {
            "cpu_s": round(sum(rate * seconds for rate, seconds in zip(rates, durations, strict=True)), 2),
            "peak_mb": round(max(memory[component], default=0), 1),
        }
        for component, rates in cpus.items()
    }
