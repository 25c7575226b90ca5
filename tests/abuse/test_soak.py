"""Many requests leave no growing memory and no open descriptor in any process.

`tox -e soak` runs the long form.
"""

import os
import time
from pathlib import Path
from statistics import linear_regression
from typing import NamedTuple

import pytest

from ops.system.processes import members
from tests.support.mysql import root_cursor, service_connections
from tests.support.stack import RunningStack
from tests.support.traffic import Traffic

IDLE = 3.0  # seconds; nginx keeps an idle connection to an instance for one
SETTLED = 15.0  # seconds until all idle connections are closed, at most
GROWTH = 1_000_000  # bytes for 100,000 requests that no process may grow by, once it is warm


class ProcessSample(NamedTuple):
    """The memory in bytes and the open descriptors of a process."""

    memory: int
    descriptors: int


def samples(stack: RunningStack) -> dict[str, ProcessSample]:
    """Return a sample of each process of the stack, named by component and process id."""
    return {
        f"{name} {pid}": ProcessSample(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
            len(os.listdir(f"/proc/{pid}/fd")),
        )
        for name, component in stack.state.components.items()
        if name != "reserve"  # a process of one second is its pause
        for pid in sorted(members(component.pid))
    }


def settle(stack: RunningStack, before: dict[str, ProcessSample] | None) -> dict[str, ProcessSample]:
    """Return the samples once all processes but MySQL have as many descriptors as `before`, or when it is too late.

    Without `before`, return them once the numbers have not changed for longer than nginx keeps an idle connection.
    """
    deadline = time.monotonic() + SETTLED
    last, since = samples(stack), time.monotonic()
    while time.monotonic() < deadline:
        now = samples(stack)
        if descriptors(now) != descriptors(last):
            last, since = now, time.monotonic()
        if descriptors(now) == descriptors(before) if before else time.monotonic() - since > IDLE:
            return now
        time.sleep(0.2)
    return samples(stack)


def descriptors(of: dict[str, ProcessSample]) -> dict[str, int]:
    """Return the numbers of descriptors, without MySQL's, which has the files of its tables open."""
    return {name: sample.descriptors for name, sample in of.items() if not name.startswith("mysql")}


def rounds(stack: RunningStack, count: int, requests: int) -> tuple[list[dict[str, ProcessSample]], list[str]]:
    """Send `requests` a round; return the samples after each round, and the wrong answers."""
    found: list[dict[str, ProcessSample]] = []
    wrong: list[str] = []
    for _ in range(count):
        traffic = Traffic(stack.port, requests, clients=16)
        wrong += traffic.wrong
        found.append(settle(stack, found[0] if found else None))
    return found, wrong


@pytest.mark.long
def test_a_few_thousand_requests_leave_no_descriptor_and_no_process_behind(stack: RunningStack) -> None:
    (first, *_, last), wrong = rounds(stack, 3, 1600)

    assert wrong == []
    assert descriptors(last) == descriptors(first)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_half_a_million_requests_leave_memory_and_descriptors_as_they_were(stack: RunningStack) -> None:
    """The least-squares line of the memory in the second half of the rounds rises by less than GROWTH."""
    started = time.monotonic()
    per_round = 20_000
    rounds(stack, 1, per_round)
    with root_cursor(stack) as cursor:
        before = service_connections(cursor)
    found, wrong = rounds(stack, 25, per_round)

    half = found[len(found) // 2 :]
    growth = {
        name: linear_regression(range(len(half)), [one[name].memory for one in half]).slope * 100_000 / per_round
        for name in found[0]
    }
    print(f"\n{25 * per_round:,} requests in {time.monotonic() - started:.0f} s, after a first {per_round:,}")
    print("process        RSS MB: first    half    last   growth/100,000   descriptors: first  last")
    for name, slope in growth.items():
        first, middle, last = (one[name] for one in (found[0], half[0], found[-1]))
        megabytes = "".join(f"{sample.memory / 1e6:8.1f}" for sample in (first, middle, last))
        print(f"{name:20}{megabytes}{slope / 1e6:13.3f} MB{first.descriptors:20}{last.descriptors:6}")
    print(f"wrong answers: {len(wrong)}", *wrong[:10], sep="\n  ")
    # MySQL's memory grows with the people, up to its buffers, so it is shown above and not checked.
    assert {name: slope for name, slope in growth.items() if slope >= GROWTH and not name.startswith("mysql")} == {}
    assert [descriptors(one) for one in found] == [descriptors(found[0])] * len(found)
    with root_cursor(stack) as cursor:
        assert service_connections(cursor) == before
    assert wrong == []
