"""Time lines as inline SVG."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from bench.statistics import Series


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
