"""While the disk of one member is nearly full, the group stores no person; all members answer and lose no person."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import ObservedCluster, observed_cluster
from tests.support.disk import MEGABYTE, fill, small_disk
from tests.support.history import NO_VIOLATIONS, Action, check_history
from tests.support.load import MANY_SKILLS, Load
from tests.support.polling import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SECONDARY = 2  # the member with the small disk
REFUSED_AFTER = 4.0  # seconds after which no person is stored


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield the data directory of a member, which is a small file system."""
    with small_disk(tmp_path / f"data/member{SECONDARY}") as disk:
        yield disk


@pytest.fixture
def site(disk: Path) -> Iterator[ObservedCluster]:
    """Yield a group of three members, one of which has a small disk and is a secondary."""
    with observed_cluster(disk.parent) as site:
        if site.primary() == SECONDARY:
            site.switch_to(1)
        yield site


def test_a_nearly_full_disk_of_a_secondary_stops_creations_and_loses_no_person(
    site: ObservedCluster, disk: Path
) -> None:
    ballast = disk / "ballast"
    with Load(site.stack.port, 1, clients=4, skills=MANY_SKILLS) as load:
        wait_until(lambda: load.has_stored_since(0))
        fill(ballast, 100 * MEGABYTE)
        filled = time.monotonic()
        time.sleep(REFUSED_AFTER + 3.0)
        states = {one.number: one.state for one in site.members()}
        freed = time.monotonic()
        ballast.unlink()
        wait_until(lambda: load.has_stored_since(freed), timeout=60, describe=lambda: site.log("up.log"))
        time.sleep(3.0)
    site.wait_for_members()
    load.audit()

    assert states == {1: "ONLINE", 2: "ONLINE", 3: "ONLINE"}
    full = [event for event in load.history if filled + REFUSED_AFTER < event.started and event.ended < freed]
    assert {event.status for event in full if event.action is Action.CREATE} == {503}
    assert {event.status for event in full if event.action is not Action.CREATE} == {200}
    assert f"until {disk} has room" in site.log("up.log")
    result = check_history(load.history, site.people())
    assert result.violations == NO_VIOLATIONS
    assert site.audit(load.history) == []
