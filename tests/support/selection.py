"""A plugin of pytest that chooses which tests run, and says at the end which were left out.

Tests that the command line names always run, except soak tests, which only `-m` with "soak" selects. Without names, the
long tests are left out unless --all is given.
"""

from collections import Counter
from typing import Any, Literal

import pytest

Selection = Literal["default", "all", "named"]

LEFT_OUT = pytest.StashKey[dict[str, list[str]]]()  # the ids of the tests, by the marker that leaves them out
COMMANDS = {"long": "./rinha test --all", "soak": ".venv/bin/tox run -e soak"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs the long tests too."""
    parser.addoption("--all", action="store_true", dest="all_tests", help="run the long tests too")


def _selection(config: pytest.Config) -> Selection:
    """Return which tests the command line selects; workers of pytest-xdist have the same command line."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    filters = (config.getoption(name, None) for name in ("keyword", "markexpr", "lf"))
    if named or any(filters):
        return "named"
    return "all" if config.getoption("all_tests") else "default"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that are left out."""
    left_out: dict[str, list[str]] = {marker: [] for marker in COMMANDS}
    kept, deselected = [], []
    for item in items:
        if marker := _reason(config, item):
            left_out[marker].append(item.nodeid)
            deselected.append(item)
        else:
            kept.append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=deselected)
    config.stash[LEFT_OUT] = left_out
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = left_out


def _reason(config: pytest.Config, item: pytest.Item) -> str:
    """Return the marker that leaves a test out, "" if the test runs."""
    if item.get_closest_marker("soak") and "soak" not in (config.getoption("markexpr") or ""):
        return "soak"
    if item.get_closest_marker("long") and _selection(config) == "default":
        return "long"
    return ""


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the ids from a worker of pytest-xdist, which collects the tests in place of this process."""
    if left_out := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[LEFT_OUT] = left_out


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests were left out, and which commands run them."""
    lines = []
    for marker, tests in config.stash.get(LEFT_OUT, {}).items():
        if tests:
            places = Counter(test.split("/")[1] for test in tests)
            counts = ", ".join(f"{place} {count}" for place, count in sorted(places.items()))
            lines.append(f"{len(tests)} {marker} tests ({counts}): {COMMANDS[marker]}")
    if _selection(config) != "named":
        lines.append("the containers: .venv/bin/tox run -e compose")
        lines.append("the page in a browser: .venv/bin/tox run -e browser")
        lines.append("requests made from openapi.yaml: .venv/bin/tox run -e schemathesis")
    if lines:
        terminalreporter.section("left out")
        terminalreporter.write_line("\n".join(lines))
