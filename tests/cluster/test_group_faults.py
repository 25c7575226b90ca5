"""Faults of a MySQL group under load: no acknowledged person is lost on any member, and no answer is false.

`--rounds N` repeats each fault. Each round prints the longest waits and the first failures, and a table has the sums.
"""

import random
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from ops.console import ignore_progress
from ops.stack.rolling_restart import restart_members
from tests.support.cluster import ObservedCluster
from tests.support.fault_table import Tally
from tests.support.group_faults import play
from tests.support.history import Action

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

PAUSE = 12.0  # seconds of SIGSTOP: longer than a silent member stays in the group
# The group notices a silent primary after 5 s, which is compiled in.
WRITES_BACK = 12.0  # seconds until creations succeed after the primary was killed
READS_BACK = 2.0  # seconds until reads and searches do


class GroupFault(NamedTuple):
    """A fault of a group, and whether requests may be answered 503."""

    cause: Callable[[ObservedCluster], None]
    may_fail: bool = True


def kill_primary(site: ObservedCluster) -> None:
    site.kill(site.primary())


def kill_secondary(site: ObservedCluster) -> None:
    site.kill(site.secondaries()[0])


def kill_two(site: ObservedCluster) -> None:
    site.kill(site.primary(), site.secondaries()[0])


def kill_all(site: ObservedCluster) -> None:
    site.kill(1, 2, 3)


def pause_primary(site: ObservedCluster) -> None:
    site.pause(site.primary(), PAUSE)


def pause_secondary(site: ObservedCluster) -> None:
    site.pause(site.secondaries()[0], PAUSE)


def switch(site: ObservedCluster) -> None:
    for _ in range(3):
        site.switch_to(site.secondaries()[0])
        time.sleep(1)


def rolling_restart(site: ObservedCluster) -> None:
    restart_members(site.directory, ignore_progress)


def rolling_deploy(site: ObservedCluster) -> None:
    completed = site.stack.rinha("deploy", timeout=300)
    assert completed.returncode == 0, completed.stderr


FAULTS = {
    "kill the primary": GroupFault(kill_primary),
    "kill a secondary": GroupFault(kill_secondary),
    "kill two members": GroupFault(kill_two),
    "kill all members": GroupFault(kill_all),
    "stop the primary for 12 s": GroupFault(pause_primary),
    "stop a secondary for 12 s": GroupFault(pause_secondary),
    "switch the primary": GroupFault(switch, may_fail=False),
    "restart all members": GroupFault(rolling_restart, may_fail=False),
    "deploy": GroupFault(rolling_deploy, may_fail=False),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat each fault --rounds times."""
    if "fault" in metafunc.fixturenames:
        rounds = metafunc.config.getoption("rounds")
        plan = [(name, number) for number in range(rounds) for name in FAULTS]
        metafunc.parametrize(("fault", "number"), plan, ids=[f"{name}-{number}" for name, number in plan])


def test_a_fault_of_the_group_loses_no_person_on_any_member(
    site: ObservedCluster, tally: Tally, fault: str, number: int, pytestconfig: pytest.Config
) -> None:
    rng = random.Random(f"{pytestconfig.getoption('seed')}/{fault}/{number}")
    outcome = play(site, FAULTS[fault].cause, rng, may_fail=FAULTS[fault].may_fail)
    tally(fault, outcome.result)
    print(outcome.describe(fault))
    outcome.check()
    if fault == "kill the primary":
        assert outcome.longest_wait(Action.CREATE) < WRITES_BACK
        assert max(outcome.longest_wait(one) for one in (Action.READ, Action.SEARCH)) < READS_BACK
