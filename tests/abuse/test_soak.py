"""Many requests, and what they leave behind in each process: no memory that grows, no descriptor that stays.

The long form runs only when asked for: `tox -e soak`.
"""

import os
import time
from pathlib import Path
from statistics import linear_regression
from typing import NamedTuple

import pytest

from ops.stack.data_directory import DataDirectory
from ops.system.processes import members
from tests.support.stack import RunningStack
from tests.support.traffic import Traffic

IDLE = 3.0  # seconds; nginx keeps an idle connection to an instance for one
SETTLED = 15.0  # seconds at most until all idle connections are closed
GROWTH = 1_000_000  # bytes for 100,000 requests that no process may grow by, once it is warm


class Sample(NamedTuple):
    """What a process holds."""

    memory: int
    descriptors: int


def samples(stack: RunningStack) -> dict[str, Sample]:
    """Return what every process of the stack holds now, named by component and process id."""
    state = DataDirectory(stack.data).last_state()
    assert state
    return {
        f"{name} {pid}": Sample(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
            len(os.listdir(f"/proc/{pid}/fd")),
        )
        for name, component in state.components.items()
        if name != "reserve"  # which waits by a process of a second
        for pid in sorted(members(component.pid))
    }


def settle(stack: RunningStack, before: dict[str, Sample] | None) -> dict[str, Sample]:
    """Return the samples once everybody but MySQL has as many descriptors as `before`, or when it is too late.

    Without `before`: once the numbers have not changed for longer than nginx keeps an idle connection.
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


def descriptors(of: dict[str, Sample]) -> dict[str, int]:
    """Return the numbers of descriptors, without those of MySQL, which has the files of its tables open."""
    return {name: sample.descriptors for name, sample in of.items() if not name.startswith("mysql")}


def connections(stack: RunningStack) -> int:
    return sum(row[1] == "rinha" for row in stack.sql("SHOW PROCESSLIST"))


def rounds(stack: RunningStack, count: int, requests: int) -> tuple[list[dict[str, Sample]], list[str]]:
    """Send `requests` a round; return the samples after each, when all is quiet, and what was answered wrongly."""
    found: list[dict[str, Sample]] = []
    wrong: list[str] = []
    for _ in range(count):
        traffic = Traffic(stack.port, requests, clients=16)
        wrong += traffic.wrong
        found.append(settle(stack, found[0] if found else None))
    return found, wrong


def test_a_few_thousand_requests_leave_no_descriptor_and_no_process_behind(stack: RunningStack) -> None:
    (first, *_, last), wrong = rounds(stack, 3, 1600)

    assert wrong == []
    assert descriptors(last) == descriptors(first)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_half_a_million_requests_leave_memory_and_descriptors_as_they_were(stack: RunningStack) -> None:
    """Memory: the line of least squares through the second half of the rounds rises by less than GROWTH."""
    started = time.monotonic()
    per_round = 20_000
    rounds(stack, 1, per_round)
    before = connections(stack)
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
    # MySQL's grows with the people it holds, up to its buffers: shown above, not judged.
    assert {name: slope for name, slope in growth.items() if slope >= GROWTH and not name.startswith("mysql")} == {}
    assert [descriptors(one) for one in found] == [descriptors(found[0])] * len(found)
    assert connections(stack) == before
    assert wrong == []
