"""Reports a load: as text for the terminal, as an HTML page, and as one line of JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape

from bench.charts import chart
from bench.statistics import ALL, PERCENTILES, Run, Samples, resource_timeline, resources, summarise, timeline


@dataclass(frozen=True)
class Facts:
    """The facts about a load that are not in Gatling's log.

    `maximum` is how many rows a correct service stores. `audit` is a sentence with the audit's result. `limits` may
    have "CPU" and "MB", which all components together may use.
    """

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
        """Whether all valid people were stored, and the audit found no difference."""
        return self.rows == self.maximum and self.audit_passed


def json_line(run: Run, samples: Samples, facts: Facts) -> str:
    """Return the report as one line of JSON, with all facts and figures."""
    figures = {"passed": facts.passed, "start": run.start, "seconds": run.seconds, "gatling": run.gatling}
    summaries = {kind: asdict(summary) for kind, summary in summarise(run.requests).items()}
    tables = {"requests": summaries, "resources": resources(samples)}
    return json.dumps(asdict(facts) | figures | tables, ensure_ascii=False, sort_keys=True)


def text(run: Run, samples: Samples, facts: Facts) -> str:
    """Return the report as text for a terminal."""
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
    """Return the tables that have rows, of requests, components and errors; the first row of each is its heading."""
    requests = [["request", "count", "OK", "KO", *(f"p{percent}" for percent in PERCENTILES), "max ms"]]
    components, errors = [["component", "CPU s", "peak MB"]], [["error", "count"]]
    for kind, summary in summarise(run.requests).items():
        times = [f"{ms:,}" for ms in summary.latency.values()] or ["-"] * (len(PERCENTILES) + 1)
        requests.append([kind, f"{summary.count:,}", f"{summary.ok:,}", f"{summary.ko:,}", *times])
        errors += [[f"{kind}: {message}", f"{count:,}"] for message, count in summary.errors.items() if kind != ALL]
    for component, used in resources(samples).items() if samples else []:
        components.append([component, f"{used['cpu_s']:.1f}", f"{used['peak_mb']:,.0f}"])
    return [table for table in (requests, components, errors) if len(table) > 1]


def _labels(run: Run, facts: Facts) -> list[str]:
    limits = [f"{value:,g} {name}" for name, value in facts.limits.items()]
    versions = [f"{name} {version}" for name, version in {**facts.versions, "Gatling": run.gatling}.items()]
    labels = {
        "machine": facts.machine,
        "limits": ", ".join(limits) or "none",
        "versions": ", ".join(versions),
        "commit": facts.commit,
        "seed": str(facts.seed),
        "duration": f"{run.seconds:.0f} s",
    }
    return [f"{name}: {value}" for name, value in (labels | facts.settings).items()]


def html(run: Run, samples: Samples, facts: Facts) -> str:
    """Return the report as one HTML page, which loads no script, font or image."""
    seconds, rates, latency, failed = timeline(run)
    charts = chart("Answers per second", seconds, rates)
    charts += chart("Latency of the OK answers in ms, logarithmic", seconds, latency, log=True)
    moments, cpus, memory = resource_timeline(samples, run.start)
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
