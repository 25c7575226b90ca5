"""The faults that happen to a stack under load, and the failures that each may cause."""

import os
import random
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from ops.system.processes import kill_group
from tests.support.observed_stack import NOT_SERVING, ObservedStack
from tests.support.polling import wait_until
from tests.support.processes import kill

RECOVERY = 2.0  # seconds in which a request is answered while MySQL is down, and in which the service is ready after


def kill_worker(site: ObservedStack, rng: random.Random) -> None:
    kill(rng.choice(sorted(set().union(*site.workers().values()))))


def kill_instance(site: ObservedStack, rng: random.Random) -> None:
    victim = site.component(rng.choice(["api1", "api2"]))
    kill_group(victim)
    wait_until(lambda: victim not in site.components())


def kill_nginx(site: ObservedStack, rng: random.Random) -> None:
    victim = site.component("nginx")
    kill_group(victim)
    site.wait_for_component("nginx", victim)


def kill_mysql(site: ObservedStack, rng: random.Random) -> None:
    workers, victim = site.workers(), site.component("mysql")
    kill_group(victim)
    site.wait_for_component("mysql", victim)
    _check_recovery(site, workers)


def stop_mysql(site: ObservedStack, rng: random.Random) -> None:
    workers, victim = site.workers(), site.component("mysql")
    os.kill(victim, signal.SIGSTOP)
    try:
        time.sleep(site.stop_seconds)
    finally:
        os.kill(victim, signal.SIGCONT)
    _check_recovery(site, workers)


def _check_recovery(site: ObservedStack, workers: dict[str, set[int]]) -> None:
    """Check that the same workers are ready soon after MySQL answers."""
    site.wait_for_mysql()
    site.wait_for_service(RECOVERY)
    assert site.workers() == workers, "a worker was restarted"


def kill_all(site: ObservedStack, rng: random.Random) -> None:
    """Kill `up` first, because it would restart the components."""
    state = site.state
    kill(state.pid)
    for component in state.components.values():
        kill_group(component.pid)
    time.sleep(rng.uniform(0, 0.5))
    site.up()


def down_and_up(site: ObservedStack, rng: random.Random) -> None:
    site.stack.down()
    time.sleep(rng.uniform(0, 0.5))
    site.up()


def restart_instances(site: ObservedStack, rng: random.Random) -> None:
    """Restart one instance after the other, as `deploy` does."""
    for name in rng.sample(["api1", "api2"], 2):
        before = site.component(name)
        os.kill(before, signal.SIGTERM)
        wait_until(lambda name=name, before=before: site.component(name) != before, errors=NOT_SERVING)  # type: ignore[misc]
        site.wait_for_service()


class StackFault(NamedTuple):
    """A fault, and whether requests may be answered 503 and connections may be cut.

    A slow fault happens in a fifth of the rounds. `answered_within` is a promise in seconds for every request.
    """

    cause: Callable[[ObservedStack, random.Random], None]
    may_fail: bool = True
    may_cut: bool = False
    slow: bool = False
    answered_within: float | None = None


FAULTS = {
    "kill a worker": StackFault(kill_worker),
    "kill an instance": StackFault(kill_instance),
    "kill nginx": StackFault(kill_nginx, may_cut=True),
    "kill MySQL": StackFault(kill_mysql, answered_within=RECOVERY),
    "kill everything": StackFault(kill_all, may_cut=True),
    "stop MySQL (SIGSTOP)": StackFault(stop_mysql, slow=True, answered_within=RECOVERY),
    "down and up": StackFault(down_and_up, may_cut=True, slow=True),
    "restart both instances": StackFault(restart_instances, may_fail=False, slow=True),
}


def slow_rounds(rounds: int) -> int:
    """Return how often a slow fault happens in so many rounds."""
    return max(rounds // 5, 1)
