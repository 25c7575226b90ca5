"""Draws time lines as inline SVG."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from bench.statistics import Series

WIDTH, HEIGHT = 560, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 552, 10, 206  # of the plot, whose axes meet at (LEFT, BOTTOM)


class _Scale(NamedTuple):
    """Maps moments from 0 to `span` and values from 0 to `top`, or from 1 on a logarithmic axis, to the plot."""

    span: float
    top: float
    log: bool

    def x(self, moment: float) -> float:
        return LEFT + (RIGHT - LEFT) * moment / self.span

    def y(self, value: float) -> float:
        share = math.log(max(value, 1)) / math.log(self.top) if self.log else value / self.top
        return BOTTOM - (BOTTOM - TOP) * share

    def path(self, moments: Sequence[float], values: Sequence[float | None]) -> str:
        """Return the line through the values, interrupted where a value is None."""
        path, command = "", "M"
        for moment, value in zip(moments, values, strict=True):
            path += "" if value is None else f"{command}{self.x(moment):.1f} {self.y(value):.1f}"
            command = "M" if value is None else "L"
        return path


def chart(  # noqa: PLR0913 - the options of a chart
    title: str,
    moments: Sequence[float],
    series: Series,
    *,
    stack: bool = False,
    log: bool = False,
    limit: float = 0,
) -> str:
    """Return a chart of series over time, in seconds, as a figure with inline SVG.

    `stack` draws the series as areas on top of each other. `log` makes the axis of values logarithmic. A `limit` other
    than 0 is drawn as a dashed line.
    """
    rows = zip(*series.values(), strict=True)
    peak = max([limit, 0.01, *((sum if stack else max)([value or 0 for value in row]) for row in rows)])
    ticks = _ticks(peak, 4, log)
    scale = _Scale(max([1, *moments]), ticks[-1], log)
    svg = [_horizontal(scale, value) + f'<text x="40" y="{scale.y(value):.1f}">{value:,g}</text>' for value in ticks]
    svg += [f'<text class="x" x="{scale.x(t):.0f}" y="220">{t:g} s</text>' for t in _ticks(scale.span, 6)[:-1]]
    legend, base = "", [0.0] * len(moments)
    for number, (name, values) in enumerate(series.items()):
        colour = f'style="--c:var(--{escape(name.split()[0])},var(--s{number % 4}))"'
        line, floor = scale.path(moments, values), scale.path(moments[::-1], base[::-1]).replace("M", "L")
        if stack:
            base = [low + (value or 0) for low, value in zip(base, values, strict=True)]
            line = f"{scale.path(moments, base)}{floor}Z"
        svg.append(f'<path class="{"area" if stack else "line"}" {colour} d="{line}"/>')
        legend += f"<i {colour}>{escape(name)}</i>"
    if limit:
        svg.append(_horizontal(scale, limit, ' class="limit"'))
        legend += f'<i style="--c:var(--ink)">limit {limit:,g}</i>'
    caption = f"<figcaption><b>{escape(title)}</b>{legend}</figcaption>"
    return f'<figure>{caption}<svg viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(svg)}</svg></figure>'


def _horizontal(scale: _Scale, value: float, attributes: str = "") -> str:
    """Return a line across the plot."""
    return f'<path{attributes} d="M{LEFT} {scale.y(value):.1f}h{RIGHT - LEFT}"/>'


def _ticks(peak: float, steps: int, log: bool = False) -> list[float]:
    """Return round values from 0 to at least `peak`, in at most `steps` steps; on a logarithmic axis powers of 10."""
    if log:
        return [10.0**power for power in range(max(1, math.ceil(math.log10(max(peak, 1)))) + 1)]
    power = 10.0 ** math.floor(math.log10(peak / steps))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor * steps >= peak * 0.999)
    return [step * number for number in range(math.ceil(peak / step - 0.001) + 1)]
