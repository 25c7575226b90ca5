"""Plays a fault of a group under load, and checks what every client was told and what every member has."""

import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.support.cluster import ObservedCluster
from tests.support.history import NO_VIOLATIONS, Action, CheckResult, Event, check_history
from tests.support.load import Load
from tests.support.polling import wait_until

MIN_ACKNOWLEDGED = 50  # people in a round
ANSWER_SECONDS = 4.0  # for every request: twice the promise, because the machine runs all servers and clients
BACK = 120.0  # seconds until people are stored after a fault


class Outcome(NamedTuple):
    """What the clients of a round were told, and what the members lack."""

    history: Sequence[Event]
    result: CheckResult
    problems: Sequence[str]

    def longest_wait(self, action: Action) -> float:
        """Return the seconds that a client waits at most which repeats a request of this kind until one succeeds."""
        events = sorted((one for one in self.history if one.action is action), key=lambda one: -one.started)
        longest, success = 0.0, self.history[-1].ended
        for event in events:
            if event.status in (200, 201):
                success = min(success, event.ended)
            longest = max(longest, success - event.started)
        return longest

    def describe(self, fault: str) -> str:
        """Return how long clients waited for each kind of request, how many failed, and the first failures."""
        waits = ", ".join(f"{action.value} {self.longest_wait(action):.1f} s" for action in Action)
        failed = [event for event in self.history if event.status not in (200, 201)]
        numbers = ", ".join(f"{one.value} {sum(event.action is one for event in failed)}" for one in Action)
        return "\n".join([f"{fault}: longest wait: {waits}; failed: {numbers}", *map(str, failed[:10])])

    def check(self) -> None:
        """Fail if a person is lost or not found on a member, if an answer is false, or if one took too long."""
        assert self.problems == []
        assert self.result.violations == NO_VIOLATIONS
        assert self.result.acknowledged > MIN_ACKNOWLEDGED, "there was no load"
        assert self.result.slowest < ANSWER_SECONDS


def play(
    site: ObservedCluster, cause: Callable[[ObservedCluster], None], rng: random.Random, *, may_fail: bool = True
) -> Outcome:
    """Cause a fault under load; return the outcome once people are stored again and all members are online.

    Requests may be answered 503 if they `may_fail`.
    """
    site.wait_for_members()
    # The clocks of the workers differ, so that ids do not tell which people are new.
    known = {person.id for person in site.people()}
    with Load(site.stack.port, rng.getrandbits(32), clients=4) as load:
        time.sleep(rng.uniform(1, 2))
        cause(site)
        moment = time.monotonic()
        wait_until(lambda: load.has_stored_since(moment), BACK, site.members)
        site.wait_for_members()
        time.sleep(1)
    during = tuple(load.history)
    load.audit()
    problems = site.audit(load.history)
    new = [person for person in site.people() if person.id not in known]
    result = check_history(load.history, new, before=len(known), may_fail=may_fail)
    return Outcome(during, result, problems)
