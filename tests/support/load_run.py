"""A load run for the tests of its statistics and its report."""

from dataclasses import replace
from typing import Any

from bench.report import Facts
from bench.statistics import Request, Run

START = 1_700_000_000_000
RUN = Run(
    "3.9.5",
    START,
    [
        *(Request("create", START + 1000 * i, START + 1000 * i + i, True, "") for i in range(1, 101)),
        Request("search", START + 500, START + 60_500, False, "Request timeout <60 s>"),
        Request("create", START + 700, START + 720, False, "Premature close"),
    ],
)
FACTS = Facts(
    rows=41,
    maximum=42,
    audit="41 people & their ids read back",
    audit_passed=True,
    machine="two <small> cores",
    commit="abc1234",
    seed=7,
    versions={"MySQL": "9.7.4", "nginx": "1.28"},
    limits={"CPU": 0.75, "MB": 1536},
    settings={"dialect": "english"},
)
USED: list[dict[str, Any]] = [
    {
        "t": START / 1000 + t,
        "components": {"mysql": {"cpu_s": 10 + t / 2, "rss_mb": 500 + t}, "api1": {"cpu_s": t / 4, "rss_mb": 40}},
    }
    for t in range(-1, 4)
]


def facts_with(**changes: Any) -> Facts:
    """Return FACTS with some fields replaced."""
    return replace(FACTS, **changes)
