"""On a full disk creations are refused, no person is lost, and creations succeed once there is space again."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import ROOT
from tests.support import metric_signs
from tests.support.board import DISK_FULL, SIGNS, RecordedBoard
from tests.support.disk import MEGABYTE, fill, small_disk
from tests.support.fault_table import Tally
from tests.support.faults import slow_rounds
from tests.support.history import NO_VIOLATIONS, Action, check_history
from tests.support.load import MANY_SKILLS, Load
from tests.support.metric_signs import RecordedMetrics
from tests.support.observed_stack import observed_stack
from tests.support.polling import wait_until
from tests.support.stack import free_port

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.alone]

REFUSED_AFTER = 2.0  # seconds after which no person is stored on a full disk


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat the fault as often as --rounds says for slow faults."""
    metafunc.parametrize("number", range(slow_rounds(metafunc.config.getoption("rounds"))))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a small file system."""
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def test_a_full_disk_refuses_creations_and_loses_no_person(
    disk: Path, tally: Tally, pytestconfig: pytest.Config, number: int
) -> None:
    """The people have many skills, so that InnoDB writes the full-text index too."""
    rng = random.Random(f"{pytestconfig.getoption('seed')}/{number}")
    ballast = disk / "ballast"
    metrics_port = free_port()
    with observed_stack(disk / "data", ROOT, "--metrics-port", str(metrics_port)) as site:
        began = time.time()
        with (
            RecordedBoard(site.stack) as board,
            RecordedMetrics(metrics_port) as metrics,
            Load(site.stack.port, rng.getrandbits(32), skills=MANY_SKILLS) as load,
        ):
            time.sleep(rng.uniform(0.5, 1.5))
            fill(ballast, rng.randrange(1, 20) * MEGABYTE)
            filled = time.monotonic()
            time.sleep(3.0)
            for sign in SIGNS[DISK_FULL]:
                board.wait_for(sign)
            for series in metric_signs.SIGNS[DISK_FULL]:
                metrics.wait_for(series)
            freed = time.monotonic()
            ballast.unlink()
            wait_until(lambda: load.has_stored_since(freed))
            time.sleep(3.0)
        site.wait_for_service()
        time.sleep(3.0)  # in which InnoDB syncs its full-text cache
        load.audit()

        result = check_history(load.history, site.people(began))
        tally("disk full", result)
        assert result.violations == NO_VIOLATIONS
        assert result.unavailable, "the disk was not full"
        stored = [event for event in load.history if event.action is Action.CREATE and event.status == 201]
        assert not [event for event in stored if filled + REFUSED_AFTER < event.started < freed]
        site.check_table()
