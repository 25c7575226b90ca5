"""What belongs together agrees: many workers have their connections, and few open files have a smaller queue.

Each situation is a row: options, the limit of open files, and what is seen. tests/unit/test_capacity.py has more.
"""

import re
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.commands import check_refused, failed_checks
from tests.support.people import create_person
from tests.support.stack import SMALL, RunningStack, free_port


class Situation(NamedTuple):
    """Options of `up`, the hard limit of open files (0 for none), and the words of the refusal, "" if it serves."""

    options: tuple[str, ...]
    open_files: int
    refusal: str


LIMITS = ("--cpus", "1.5", "--memory")
SITUATIONS = (
    Situation(SMALL, 1024, ""),
    Situation(SMALL, 256, "1 x 1 workers need 1024 open files, and a process may open 256"),
    Situation(
        ("--workers", "64", "--cpus", "1.5", "--memory", "3072"), 0, "2 x 64 workers need 1310 MB for each instance"
    ),
    Situation(("--cpus", "1.5", "--memory", "700"), 0, "2 x 4 workers need 886 MB for MySQL"),
)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    """Yield a stack that does not run yet."""
    stack = RunningStack(free_port(), tmp_path)
    stack.copy_new_database()
    yield stack
    stack.rinha("down")


def limit(open_files: int) -> Callable[[], None] | None:
    """Return what limits the open files of a new process."""
    return partial(resource.setrlimit, resource.RLIMIT_NOFILE, (open_files, open_files)) if open_files else None


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_a_stack_is_refused_with_the_numbers_or_serves(stack: RunningStack, situation: Situation) -> None:
    command = "up", *situation.options, *([] if situation.refusal else ["--detach"])

    started = stack.rinha(*command, preexec_fn=limit(situation.open_files))

    if situation.refusal:
        check_refused(started, situation.refusal)
        assert not (stack.data / "state.json").exists()
        return
    assert started.returncode == 0, started.stdout + started.stderr
    assert failed_checks(stack) == []
    log = (stack.data / "log/nginx-error.log").read_text()
    assert not re.search("open file|RLIMIT|worker_connections", log), log


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_stack_with_many_workers_fails_no_creation(stack: RunningStack) -> None:
    """128 workers have a connection each, and reconnect beside connections that MySQL has not ended yet."""
    stack.up("--workers", "64")

    with ThreadPoolExecutor(128) as clients:
        statuses = list(clients.map(lambda _: create_person(stack.wire).status, range(900)))

    assert statuses == [201] * 900
    assert failed_checks(stack) == []
    (used,) = stack.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'rinha'")
    assert int(used[0]) > 50  # more than with the workers of the default
