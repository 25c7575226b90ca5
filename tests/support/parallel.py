"""A plugin of pytest for tests that run at the same time, in the workers of pytest-xdist.

A test marked `alone` promises seconds, or needs the whole machine. It runs while no other test does.
Coverage is not measured during long tests: the trace doubles their time, and the other tests reach the floor.
"""

import fcntl
import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from coverage import Coverage
from coverage.exceptions import CoverageWarning

from tests.support.stack import SHARED

# The directories with the longest tests are first, so that short ones fill the end of the run.
ORDER = ("docs", "cluster", "load", "faults", "integration", "browser", "abuse", "compose", "contract", "unit")


def pytest_configure(config: pytest.Config) -> None:
    """Make the directory that the workers share; they inherit its name."""
    if not hasattr(config, "workerinput"):
        os.environ[SHARED] = tempfile.mkdtemp(prefix="rinha-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the directory at the end of the run."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(SHARED))


@pytest.hookimpl(trylast=True)  # after tests were left out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the modules; the workers take them in this order.

    Modules with tests that run alone are first. Later, each of these tests would have to wait for another test. The
    modules with most long tests follow, so that none of them is the last one that runs.
    """
    if hasattr(config, "workerinput"):
        alone = {item.path for item in items if item.get_closest_marker("alone")}
        long = Counter(item.path for item in items if item.get_closest_marker("long"))
        items.sort(key=lambda item: (item.path not in alone, -long[item.path], ORDER.index(item.path.parent.name)))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outside pytest-timeout, so that waiting does not count
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test marked `alone` while no other test runs, and a long test without coverage."""
    with ExitStack() as contexts:
        if hasattr(item.config, "workerinput"):
            contexts.enter_context(_machine(bool(item.get_closest_marker("alone"))))
        if item.get_closest_marker("long"):
            contexts.enter_context(_unmeasured())
        return (yield)


@contextmanager
def _machine(exclusive: bool) -> Iterator[None]:
    """Hold the machine with other tests, or without them if `exclusive`.

    A test waits at the entrance while an exclusive one waits for the tests that run, so that none waits for ever.
    """
    directory = Path(os.environ[SHARED])
    with (directory / "entrance").open("w") as entrance, (directory / "machine").open("w") as machine:
        fcntl.flock(entrance, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        fcntl.flock(entrance, fcntl.LOCK_UN)
        yield


@contextmanager
def _unmeasured() -> Iterator[None]:
    """Measure no coverage in this process and in the processes that it starts."""
    coverage = Coverage.current()
    if not coverage:
        yield
        return
    inherited = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith("COVERAGE_PROCESS")}
    coverage.stop()
    try:
        yield
    finally:
        os.environ.update(inherited)
        with warnings.catch_warnings():  # coverage warns of each module that was imported before its start
            warnings.simplefilter("ignore", CoverageWarning)
            coverage.start()
