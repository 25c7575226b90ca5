"""A plugin of pytest that lets the workers of pytest-xdist run tests at the same time.

The tests of a module run in one worker, because they share fixtures. A test marked `alone` promises seconds, or needs
the whole machine; it runs while no other test does.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# The directories with the longest tests are first, so that short ones fill the end of the run.
ORDER = ("load", "faults", "integration", "abuse", "contract", "unit")


def pytest_configure(config: pytest.Config) -> None:
    """Make the directory of the locks; the workers receive the options of the main process."""
    if not hasattr(config, "workerinput"):
        config.option.locks = tempfile.mkdtemp(prefix="rinha-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the locks at the end of the run."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.option.locks)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Group the tests by module, and order the groups."""
    if not hasattr(config, "workerinput"):
        return

    def place(item: pytest.Item) -> int:
        directory = item.path.parent.name
        return ORDER.index(directory) if directory in ORDER else -1

    items.sort(key=place)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}/{item.path.stem}"))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outside pytest-timeout, so that waiting does not count
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test marked `alone` while no other test runs."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with _machine(Path(item.config.option.locks), exclusive=bool(item.get_closest_marker("alone"))):
        return (yield)


@contextmanager
def _machine(locks: Path, exclusive: bool) -> Iterator[None]:
    """Hold the machine with other tests, or without them if `exclusive`.

    A test waits at the entrance while an exclusive one waits for the tests that run, so that none waits for ever.
    """
    with (locks / "entrance").open("w") as entrance, (locks / "machine").open("w") as machine:
        fcntl.flock(entrance, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        fcntl.flock(entrance, fcntl.LOCK_UN)
        yield
