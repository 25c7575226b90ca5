"""A plugin of pytest that prints a table of the faults after the tests."""

from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.support.history import CheckResult

COLUMNS = ("rounds", "requests", "acknowledged", "503", "cut", "slowest", "lost", "doubled", "false")
PROPERTY = "fault"  # of the report of a test, which workers of pytest-xdist send to the main process

Figures = list[float]
Tally = Callable[[str, CheckResult], None]


def pytest_report_header(config: pytest.Config) -> str:
    """Return the options that repeat the faults of this run."""
    return f"faults: --rounds {config.getoption('rounds')} --seed {config.getoption('seed')}"


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """Return a function that adds the result of a round to the row of its fault."""

    def add(fault: str, result: CheckResult) -> None:
        figures = [1, *result[:5], *(len(violations) for violations in result.violations)]
        record_property(PROPERTY, [fault, figures])

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print a row for each fault, and one for all."""
    rounds: dict[str, list[Figures]] = defaultdict(list)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, value in report.user_properties:
                    if name == PROPERTY:
                        rounds[value[0]].append(value[1])
    if not rounds:
        return
    terminalreporter.section(f"faults, --seed {config.getoption('seed')}")
    terminalreporter.write_line(f"{'fault':<28}" + "".join(f"{column:>13}" for column in COLUMNS))
    every = [figures for some in rounds.values() for figures in some]
    for name, some in [*sorted(rounds.items()), ("total", every)]:
        terminalreporter.write_line(f"{name:<28}" + "".join(f"{figure:>13}" for figure in _total(some)))


def _total(rounds: list[Figures]) -> list[str]:
    """Return the sums of the figures, and the largest of the slowest answers."""
    sums = [f"{sum(column):.0f}" for column in zip(*rounds, strict=True)]
    slowest = COLUMNS.index("slowest")
    return [*sums[:slowest], f"{max(figures[slowest] for figures in rounds):.2f} s", *sums[slowest + 1 :]]
