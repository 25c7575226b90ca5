"""A kill, a stop or a restart under load loses no person and causes no false answer.

A round is one fault at a random moment of a load through nginx, and a check of all answers. With `--rounds N` each
fault happens N times, and a slow one N/5 times; `--seed` repeats their order.
"""

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.support.fault_table import Tally
from tests.support.faults import FAULTS, slow_rounds
from tests.support.history import NO_VIOLATIONS, Action, Event, check_history
from tests.support.load import Load
from tests.support.observed_stack import ObservedStack, observed_stack
from tests.support.polling import wait_until

pytestmark = pytest.mark.faults

NOISE = 1.0  # seconds that the machine, with clients and servers on two cores, may add to a promise
IN_DEFAULT_RUN = ("kill an instance", "kill everything")
MIN_ACKNOWLEDGED = 20  # people in a round
CALM_SECONDS = 2.0  # after which nginx has closed all idle connections


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Mix the rounds of all faults, so that the rounds of one fault do not follow each other."""
    if "fault" not in metafunc.fixturenames:
        return
    rounds, seed = metafunc.config.getoption("rounds"), metafunc.config.getoption("seed")
    plan = [
        (name, number)
        for name, fault in FAULTS.items()
        for number in range(slow_rounds(rounds) if fault.slow else rounds)
    ]
    random.Random(seed).shuffle(plan)
    metafunc.parametrize(
        ("fault", "number"),
        [pytest.param(*one, id=f"{one[0]}-{one[1]}", marks=marks_of(one[0])) for one in plan],
    )


def marks_of(fault: str) -> list[pytest.MarkDecorator]:
    """Return the marks of a fault: those that promise seconds, or that no request fails, run alone."""
    is_strict = FAULTS[fault].answered_within or not FAULTS[fault].may_fail
    return [pytest.mark.long] * (fault not in IN_DEFAULT_RUN) + [pytest.mark.alone] * bool(is_strict)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[ObservedStack]:
    """Yield a stack for all rounds."""
    with observed_stack(tmp_path_factory.mktemp("site")) as site:
        site.wait_for_service()
        time.sleep(CALM_SECONDS)
        site.idle_files = site.most_open_files()
        if pytestconfig.getoption("rounds") > 1:
            site.stop_seconds = 10.0
        yield site


@pytest.fixture(scope="module")
def creations() -> list[list[Event]]:
    """Return the creations of each round so far."""
    return []


@pytest.fixture
def rng(request: pytest.FixtureRequest, number: int) -> random.Random:
    return random.Random(f"{request.config.getoption('seed')}/{request.node.name}")


def test_a_fault_loses_no_person_and_causes_no_false_answer(
    site: ObservedStack, creations: list[list[Event]], tally: Tally, fault: str, rng: random.Random
) -> None:
    cause, may_fail, may_cut, _, answered_within = FAULTS[fault]
    if not site.stack.directory.is_locked():
        site.stack.up()  # the round before has failed
    began, before = time.time(), site.count_rows()

    with Load(site.stack.port, rng.getrandbits(32)) as load:
        time.sleep(rng.uniform(0.3, 1.0))
        cause(site, rng)
        site.wait_for_service()
        time.sleep(rng.uniform(0.1, 0.4))
    load.audit()

    result = check_history(load.history, site.people(began), before=before, may_fail=may_fail, may_cut=may_cut)
    tally(fault, result)
    creations.append([event for event in load.history if event.action is Action.CREATE])
    assert result.violations == NO_VIOLATIONS
    assert result.acknowledged > MIN_ACKNOWLEDGED, "there was no load"
    if answered_within:
        assert result.slowest < answered_within + NOISE
        assert result.unavailable, "the fault had no effect"
        wait_until(lambda: site.most_open_files() <= site.idle_files + 1, 5)  # in the workers that met the fault
    site.wait_for_quiet()


def test_after_all_rounds_no_acknowledged_person_is_missing(site: ObservedStack, creations: list[list[Event]]) -> None:
    if not creations:
        pytest.skip("no round has run before")
    events = [event for events in creations for event in events]
    last = Load(site.stack.port, 0)
    last.history += events
    last.audit()
    result = check_history(last.history, site.people(), may_cut=True)

    assert result.violations == NO_VIOLATIONS
    acknowledged = {event.person.nickname for event in events if event.status == 201}
    assert result.acknowledged == len(acknowledged) > len(creations) * MIN_ACKNOWLEDGED
    site.check_table()


def test_up_starts_although_another_process_has_the_id_of_the_killed_mysql(site: ObservedStack) -> None:
    """MySQL takes the lock of its socket for valid while a process has the id in it."""
    site.stack.down()
    (site.stack.data / "run/mysql.sock.lock").write_text(f"{os.getpid()}\n")

    site.stack.up()
