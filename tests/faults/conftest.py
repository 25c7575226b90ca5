"""The table of what faults did, printed after the tests."""

import pytest

from tests.support.history import Verdict

COLUMNS = ("rounds", "requests", "acknowledged", "503", "cut", "slowest", "lost", "doubled", "untrue")
TALLY = pytest.StashKey[dict[str, list[Verdict]]]()


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> dict[str, list[Verdict]]:
    """Return where each round's verdict goes, by the name of its fault."""
    return request.config.stash.setdefault(TALLY, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tally = config.stash.get(TALLY, {})
    if not tally:
        return
    terminalreporter.section(f"faults, --seed {config.getoption('seed')}")
    terminalreporter.write_line(f"{'fault':<28}" + "".join(f"{column:>13}" for column in COLUMNS))
    every = [verdict for verdicts in tally.values() for verdict in verdicts]
    for name, verdicts in [*sorted(tally.items()), ("total", every)]:
        figures = [len(verdicts)] + [sum(one[column] for one in verdicts) for column in range(4)]
        figures += [f"{max(one.slowest for one in verdicts):.2f} s"]
        figures += [sum(len(one) for verdict in verdicts for one in [verdict[column]]) for column in range(5, 8)]
        terminalreporter.write_line(f"{name:<28}" + "".join(f"{figure:>13}" for figure in figures))
