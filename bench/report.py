"""Turns a load run into a report: a table for the terminal, an HTML page, one line of JSON."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

ALL = "all"
KINDS = ("create", "read", "search", "invalid search")  # the order of tables and colours; others follow
PERCENTILES = (50, 75, 95, 99)
Series = Mapping[str, Sequence[float | None]]
# Each sample: {"t": epoch seconds, "parts": {name: {"cpu_s": so far, "rss_mb": now}}}
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


@dataclass(frozen=True)
class Facts:
    """What the log cannot know; `audit` says what was compared, `limits` may hold CPU and MB."""

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
    """Return moments in seconds after `start` (epoch ms); the CPUs in use and the MB of each part."""
    pairs = [(a, b) for a, b in pairwise(samples) if b["t"] > a["t"] and b["t"] * 1000 >= start]
    cpus: dict[str, list[float]] = {part: [] for sample in samples for part in sample["parts"]}
    memory: dict[str, list[float]] = {part: [] for part in cpus}
    for part, rates in cpus.items():
        for before, after in pairs:
            old, new = (sample["parts"].get(part, {}) for sample in (before, after))
            spent = new.get("cpu_s", 0) - old.get("cpu_s", 0)  # negative only if the part was restarted
            rates.append(max(0, spent) / (after["t"] - before["t"]))
            memory[part].append(new.get("rss_mb", 0))
    return [after["t"] - start / 1000 for _, after in pairs], cpus, memory


def resources(samples: Samples) -> dict[str, dict[str, float]]:
    """Return the CPU seconds and the highest memory of each part, and of all of them together."""
    moments, *both = usage(samples, 0)
    lengths = [b - a for a, b in pairwise([sample["t"] for sample in samples[:1]] + moments)]
    cpus, memory = ({**s, ALL: [sum(row) for row in zip(*s.values(), strict=True)]} for s in both)
    spent = {part: sum(c * s for c, s in zip(values, lengths, strict=True)) for part, values in cpus.items()}
    return {p: {"cpu_s": round(spent[p], 2), "peak_mb": round(max(memory[p], default=0), 1)} for p in spent}


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
        first, *rest = [max(map(len, column)) for column in zip(*rows, strict=True)]
        line = f"{{:{first}}}" + "".join(f"  {{:>{width}}}" for width in rest)
        lines += ["", *(line.format(*row) for row in rows)]
    return "\n".join([*lines, "", *_labels(run, facts), ""])


def _headline(facts: Facts) -> str:
    missing = facts.maximum - facts.rows
    rest = f"{missing:,} missing" if missing > 0 else f"{-missing:,} too many" if missing else "all of them"
    return f"{facts.rows:,} of {facts.maximum:,} people stored: {rest}"


def _tables(run: Run, samples: Samples) -> list[list[list[str]]]:
    """Return the tables of requests, of parts if sampled, of errors if any, each with a heading."""
    requests = [["request", "count", "OK", "KO", *(f"p{p}" for p in PERCENTILES), "max ms"]]
    parts, errors = [["part", "CPU s", "peak MB"]], [["error", "count"]]
    for kind, s in summarise(run.requests).items():
        times = [f"{ms:,}" for ms in s.latency.values()] or ["-"] * (len(PERCENTILES) + 1)
        requests.append([kind, f"{s.count:,}", f"{s.ok:,}", f"{s.ko:,}", *times])
        errors += [[f"{kind}: {why}", f"{n:,}"] for why, n in s.errors.items() if kind != ALL]
    for part, used in resources(samples).items() if samples else []:
        parts.append([part, f"{used['cpu_s']:.1f}", f"{used['peak_mb']:,.0f}"])
    return [table for table in (requests, parts, errors) if len(table) > 1]


def _labels(run: Run, facts: Facts) -> list[str]:
    limits = [f"{value:,g} {name}" for name, value in facts.limits.items()]
    versions = [f"{name} {version}" for name, version in {**facts.versions, "Gatling": run.gatling}.items()]
    known = {"machine": facts.machine, "limits": ", ".join(limits) or "none", "versions": ", ".join(versions)}
    known |= {"commit": facts.commit, "seed": str(facts.seed), "duration": f"{run.seconds:.0f} s"}
    return [f"{name}: {value}" for name, value in (known | facts.settings).items()]


class _Frame(NamedTuple):
    """Places moments and values in a box of 560 by 230 whose axes meet at (46, 206)."""

    span: float
    top: float
    log: bool

    def x(self, moment: float) -> float:
        return 46 + 506 * moment / self.span

    def y(self, value: float) -> float:
        return 206 - 196 * (math.log(max(value, 1)) / math.log(self.top) if self.log else value / self.top)

    def path(self, moments: Sequence[float], values: Sequence[float | None]) -> str:
        line, pen = "", "M"
        for t, v in zip(moments, values, strict=True):
            line += "" if v is None else f"{pen}{self.x(t):.1f} {self.y(v):.1f}"
            pen = "M" if v is None else "L"
        return line


def _ticks(peak: float, steps: int, log: bool = False) -> list[float]:
    if log:
        return [10.0**i for i in range(max(1, math.ceil(math.log10(max(peak, 1)))) + 1)]
    power = 10.0 ** math.floor(math.log10(peak / steps))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m * steps >= peak * 0.999)
    return [step * i for i in range(math.ceil(peak / step - 0.001) + 1)]


def chart(title: str, moments: Sequence[float], series: Series, **how: Any) -> str:
    """Draw series over time as inline SVG; how: stack and log (booleans), limit (drawn as a dashed line)."""
    stack, log, limit = how.get("stack", False), how.get("log", False), how.get("limit", 0)
    rows = zip(*series.values(), strict=True)
    peak = max([limit, 0.01, *((sum if stack else max)([v or 0 for v in row]) for row in rows)])
    ticks = _ticks(peak, 4, log)
    at = _Frame(max([1, *moments]), ticks[-1], log)
    svg = [f'<path d="M46 {at.y(v):.1f}h506"/><text x="40" y="{at.y(v):.1f}">{v:,g}</text>' for v in ticks]
    svg += [f'<text class="x" x="{at.x(t):.0f}" y="220">{t:g} s</text>' for t in _ticks(at.span, 6)[:-1]]
    legend, base = "", [0.0] * len(moments)
    for i, (name, values) in enumerate(series.items()):
        colour = f'style="--c:var(--{escape(name.split()[0])},var(--s{i % 4}))"'
        line, floor = at.path(moments, values), at.path(moments[::-1], base[::-1]).replace("M", "L")
        if stack:
            base = [low + (v or 0) for low, v in zip(base, values, strict=True)]
            line = f"{at.path(moments, base)}{floor}Z"
        svg.append(f'<path class="{"area" if stack else "line"}" {colour} d="{line}"/>')
        legend += f"<i {colour}>{escape(name)}</i>"
    if limit:
        svg.append(f'<path class="limit" d="M46 {at.y(limit):.1f}h506"/>')
        legend += f'<i style="--c:var(--ink)">limit {limit:,g}</i>'
    head = f"<figcaption><b>{escape(title)}</b>{legend}</figcaption>"
    return f'<figure>{head}<svg viewBox="0 0 560 230">{"".join(svg)}</svg></figure>'


def html(run: Run, samples: Samples, facts: Facts) -> str:
    """Return the report as one page that needs nothing else: no script, no font, no image."""
    seconds, rates, latency, failed = timeline(run)
    charts = chart("Answers per second", seconds, rates)
    charts += chart("Latency of the OK answers in ms, logarithmic", seconds, latency, log=True)
    moments, cpus, memory = usage(samples, run.start)
    if moments:
        charts += chart("CPUs in use", moments, cpus, stack=True, limit=facts.limits.get("CPU", 0))
        charts += chart("Memory in MB", moments, memory, stack=True, limit=facts.limits.get("MB", 0))
    charts += chart("Errors per second", seconds, failed, stack=True) if any(rates["KO"]) else ""
    tables = _tables(run, samples)
    total, used = tables[0][-1], tables[1][-1] if samples else []
    names = ("requests", "errors", "p99 of OK, ms", "CPU seconds", "peak MB")
    figures = zip(names, [total[1], total[3], total[7], *used[1:]], strict=False)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Load report</title><style>{STYLE}</style><main>
<header class="{"good" if facts.passed else "bad"}"><h1>{_headline(facts)}</h1>
Audit: {escape(facts.audit)}<br>{" · ".join(map(escape, _labels(run, facts)))}</header>
<section class="tiles">{"".join(f"<div>{name}<b>{figure}</b></div>" for name, figure in figures)}</section>
<section class="charts">{charts}</section><section class="tables">{"".join(map(_table, tables))}</section>
</main></html>
"""


def _table(rows: Sequence[Sequence[str]]) -> str:
    cells = ("<td>".join(map(escape, row)) for row in rows)
    return f"<table><tr><td>{'<tr><td>'.join(cells)}</table>"


STYLE = """
:root { color-scheme: light dark; --bg: #f6f6f3; --card: #fff; --ink: #1b1b1a; --soft: #66655f;
  --rule: #e3e2dc; --s0: #2f80e0; --s1: #1aa974; --s2: #8067dc; --s3: #d99a10; --KO: #e04848;
  --p50: #8dbcf0; --p95: var(--s0); --p99: var(--ink) }
@media (prefers-color-scheme: dark) { :root {
  --bg: #131312; --card: #1d1d1b; --ink: #f1f0ec; --soft: #a3a29b; --rule: #34332f; --p50: #2f62a3 } }
body { background: var(--bg); color: var(--soft); font: 15px/1.45 system-ui, sans-serif }
main { max-width: 1180px; margin: 20px auto; font-variant-numeric: tabular-nums }
header { border-left: 6px solid var(--s1); padding-left: 14px } .bad { border-color: var(--KO) }
h1 { font-size: 27px; margin: 0 } h1, b, tr + tr { color: var(--ink) } b { display: block }
section { display: grid; gap: 14px; margin-top: 14px } .tiles b { font-size: 24px } td { padding: 2px 10px }
.tables { display: flex; flex-wrap: wrap; align-items: start } td + td { text-align: right }
.tiles { grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)) } .x { text-anchor: middle }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)) } figure { margin: 0 }
.tiles div, figure, table { background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 10px 14px } i { font: 13px system-ui; margin-right: 14px } path { fill: none; stroke: var(--rule) }
i::before { content: "\\25a0"; color: var(--c); margin-right: 6px } .area { fill: var(--c); stroke: none }
.line { stroke: var(--c); stroke-width: 1.6 } .limit { stroke: var(--ink); stroke-dasharray: 5 4 }
text { font-size: 11px; fill: var(--soft); text-anchor: end; dominant-baseline: central }
"""
