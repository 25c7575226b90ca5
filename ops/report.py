"""Turns a load run into a report: a table for the terminal, an HTML page, one line of JSON."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

ALL = "all"
KINDS = ("create", "read", "search", "invalid search")  # the order of tables and colours; others follow
PERCENTILES = (50, 75, 95, 99)
Series = Mapping[str, Sequence[float | None]]
Samples = Sequence[Mapping[str, Any]]  # {"t": epoch seconds, "parts": {name: {"cpu_s": total, "rss_mb": now}}}


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
    """The requests of one kind; `latency` (p50 to p99, max) is in ms, of the OK ones, empty if there is none."""

    count: int
    ok: int
    ko: int
    errors: dict[str, int]
    latency: dict[str, int]


@dataclass(frozen=True)
class Facts:
    """What the log cannot know; `audit` says in words what was compared, `limits` may hold cpu and memory_mb."""

    rows: int
    maximum: int
    audit: str
    audit_passed: bool
    machine: str
    commit: str
    seed: int
    versions: dict[str, str] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Tell whether everybody who could be stored was stored, and the audit agrees."""
        return self.rows == self.maximum and self.audit_passed


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
    groups: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        groups[request.kind].append(request)
    order = sorted(groups, key=lambda kind: (KINDS.index(kind) if kind in KINDS else len(KINDS), kind))
    everything = [request for group in groups.values() for request in group]
    return {kind: _summary(groups[kind]) for kind in order} | {ALL: _summary(everything)}


def _summary(requests: list[Request]) -> Summary:
    times = sorted(r.end - r.start for r in requests if r.ok)
    errors = Counter(r.message or "no message" for r in requests if not r.ok)
    latency = {f"p{p}": percentile(times, p) for p in PERCENTILES} | {"max": times[-1]} if times else {}
    return Summary(len(requests), len(times), errors.total(), dict(errors.most_common()), latency)


def timeline(run: Run) -> tuple[list[float], Series, Series]:
    """Return moments in seconds, then answers a second by kind and KO, and percentiles of the OK ones in ms."""
    width = max(1, math.ceil(run.seconds / 240))
    bins: list[list[Request]] = [[] for _ in range(int(run.seconds / width) + 1)]
    for request in run.requests:
        bins[max(0, request.end - run.start) // (1000 * width)].append(request)
    counts = [Counter(r.kind for r in b) + Counter("KO" for r in b if not r.ok) for b in bins]
    kinds = [kind for kind in summarise(run.requests) if kind != ALL] + ["KO"]
    times = [sorted(r.end - r.start for r in b if r.ok) for b in bins]
    latency = {f"p{p}": [percentile(t, p) if t else None for t in times] for p in (50, 95, 99)}
    rates = {kind: [count[kind] / width for count in counts] for kind in kinds}
    return [i * width for i in range(len(bins))], rates, latency


def usage(samples: Samples, start: int) -> tuple[list[float], Series, Series]:
    """Return moments in seconds after `start` (epoch ms), then the CPUs and the MB in use of each part."""
    pairs = [(a, b) for a, b in pairwise(samples) if b["t"] > a["t"] and b["t"] * 1000 >= start]
    parts = _parts(samples)
    cpus = {part: [_spent(a, b, part) / (b["t"] - a["t"]) for a, b in pairs] for part in parts}
    memory = {part: [_value(b, part, "rss_mb") for _, b in pairs] for part in parts}
    return [b["t"] - start / 1000 for _, b in pairs], cpus, memory


def resources(samples: Samples) -> dict[str, dict[str, float]]:
    """Return the CPU seconds and the highest memory of each part, and of all of them together."""
    parts = _parts(samples)
    cpu = {part: sum(_spent(a, b, part) for a, b in pairwise(samples)) for part in parts}
    peak = {part: max(_value(sample, part, "rss_mb") for sample in samples) for part in parts}
    cpu[ALL] = sum(cpu.values())
    peak[ALL] = max((sum(_value(sample, part, "rss_mb") for part in parts) for sample in samples), default=0)
    return {part: {"cpu_s": round(cpu[part], 2), "peak_mb": round(peak[part], 1)} for part in cpu}


def _parts(samples: Samples) -> list[str]:
    return list(dict.fromkeys(part for sample in samples for part in sample["parts"]))


def _value(sample: Mapping[str, Any], part: str, name: str) -> float:
    return float(sample["parts"].get(part, {}).get(name, 0))


def _spent(before: Mapping[str, Any], after: Mapping[str, Any], part: str) -> float:
    # A part that was restarted counts from zero again: never negative.
    return max(0.0, _value(after, part, "cpu_s") - _value(before, part, "cpu_s"))


def json_line(run: Run, samples: Samples, facts: Facts) -> str:
    """Return every fact and figure as one line of JSON."""
    figures = {"passed": facts.passed, "start": run.start, "seconds": run.seconds, "gatling": run.gatling}
    summaries = {kind: asdict(summary) for kind, summary in summarise(run.requests).items()}
    tables = {"requests": summaries, "resources": resources(samples)}
    return json.dumps(asdict(facts) | figures | tables, ensure_ascii=False, sort_keys=True)


def text(run: Run, samples: Samples, facts: Facts) -> str:
    """Return the report for a terminal."""
    lines = [_headline(facts), f"audit: {facts.audit}"]
    for rows in _tables(run, samples):
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows if len(rows) > 1 else []:
            cells = [cell if cell[:1].isalpha() else cell.rjust(w) for cell, w in zip(row, widths, strict=True)]
            lines.append("  ".join(cells))
    return "\n".join([*lines, "", *(f"{name}: {value}" for name, value in _labels(run, facts).items())]) + "\n"


def _headline(facts: Facts) -> str:
    missing = facts.maximum - facts.rows
    rest = f"{missing:,} missing" if missing > 0 else f"{-missing:,} too many" if missing else "all of them"
    return f"{facts.rows:,} of {facts.maximum:,} people stored: {rest}"


def _tables(run: Run, samples: Samples) -> list[list[list[str]]]:
    """Return the tables of requests, parts and errors, each with its heading as the first row."""
    summaries = summarise(run.requests)
    requests = [["request", "count", "OK", "KO", *(f"p{p}" for p in PERCENTILES), "max ms"]]
    for kind, s in summaries.items():
        times = [f"{ms:,}" for ms in s.latency.values()] or ["-"] * (len(PERCENTILES) + 1)
        requests.append([kind, f"{s.count:,}", f"{s.ok:,}", f"{s.ko:,}", *times])
    errors = [(n, kind, why) for kind, s in summaries.items() if kind != ALL for why, n in s.errors.items()]
    return [
        requests,
        [["part", "CPU s", "peak MB"]]
        + [[p, f"{u['cpu_s']:.1f}", f"{u['peak_mb']:,.0f}"] for p, u in resources(samples).items() if samples],
        [["error", "count"]] + [[f"{kind}: {why}", f"{n:,}"] for n, kind, why in sorted(errors, reverse=True)],
    ]


def _labels(run: Run, facts: Facts) -> dict[str, str]:
    units = {"cpu": "CPU", "memory_mb": "MB"}
    limits = [f"{value:,g} {units.get(name, name)}" for name, value in facts.limits.items()]
    versions = [f"{name} {version}" for name, version in {**facts.versions, "Gatling": run.gatling}.items()]
    known = {"machine": facts.machine, "limits": ", ".join(limits) or "none", "versions": ", ".join(versions)}
    return known | {"commit": facts.commit, "seed": str(facts.seed), "duration": f"{run.seconds:.0f} s"} | facts.settings


@dataclass(frozen=True)
class _Frame:
    """Places moments and values in a box of 560 by 230 whose axes meet at (46, 206)."""

    span: float
    top: float
    log: bool

    def x(self, moment: float) -> float:
        return 46 + 506 * moment / self.span

    def y(self, value: float) -> float:
        share = math.log(max(value, 1)) / math.log(self.top) if self.log else value / self.top
        return 206 - 196 * share

    def path(self, moments: Sequence[float], values: Sequence[float | None]) -> str:
        """Return a line through the values, broken where there is none."""
        points = ["" if v is None else f"{self.x(t):.1f} {self.y(v):.1f}" for t, v in zip(moments, values, strict=True)]
        return "".join(("L" if i and points[i - 1] else "M") + point for i, point in enumerate(points) if point)


def _ticks(peak: float, steps: int, log: bool = False) -> list[float]:
    """Return round values from zero (from one if logarithmic) to the peak or just above."""
    if log:
        return [10.0**i for i in range(max(1, math.ceil(math.log10(max(peak, 1)))) + 1)]
    power = 10.0 ** math.floor(math.log10(peak / steps))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m * steps >= peak * 0.999)
    return [step * i for i in range(math.ceil(peak / step - 0.001) + 1)]
