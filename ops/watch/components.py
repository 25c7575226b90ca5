"""The processes of a stack's components: CPU, memory, limits and restarts."""

import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from ops.stack.data_directory import RunningComponent, State
from ops.system.cgroups import ControlGroups, Group, Limit
from ops.system.processes import cpu_seconds, family, memory_of, started_at

MEMORY_INTERVAL = 1.9  # seconds between two looks at the memory of processes, each of which takes milliseconds


class ComponentNumbers(NamedTuple):
    """A component.

    `cpus` is what it used since the look before, in CPUs, and `memory` is in bytes. Their limits are 0 if there are
    none. `throttled` is the share of time in which it waited for CPU, because it was at its limit. `restarts` counts
    its restarts since the stack started. `replaced` counts the workers that have replaced others since the first look.
    """

    alive: bool
    pid: int
    processes: int
    cpus: float
    cpu_limit: float
    memory: int
    memory_limit: int
    throttled: float
    restarts: int
    replaced: int


class ComponentWatch:
    """Looks at one component again and again. A component that `up` restarts is looked at by another watch."""

    def __init__(self, component: RunningComponent, group: Group | None, has_workers: bool, replaced: int) -> None:
        self.component = component
        self._replaced = replaced  # workers that have replaced others before the component was restarted
        self._group = group
        self._has_workers = has_workers
        self._limit = group.limit() if group else Limit(0, 0)
        self._most = 0  # workers that were seen at once
        self._seen: set[int] = set()
        self._cpu, self._throttled, self._at = 0.0, 0, 0.0
        self._memory, self._memory_at = 0, 0.0

    @property
    def replaced(self) -> int:
        """The workers that have replaced others."""
        return self._replaced + len(self._seen) - self._most

    def look(self) -> ComponentNumbers:
        """Return the numbers of now."""
        alive = started_at(self.component.pid) == self.component.started_at
        pids = family(self.component.pid) if alive else []
        if self._has_workers:
            self._count_replaced(set(pids[1:]))
        now = time.monotonic()
        elapsed, cpu, throttled = now - self._at, self._cpu, self._throttled
        self._measure(pids, now)
        used = max(self._cpu - cpu, 0.0) / elapsed if cpu and pids else 0.0
        waited = (self._throttled - throttled) / 10 / elapsed if cpu else 0.0  # periods of 100 ms
        self._at = now
        return ComponentNumbers(
            alive,
            self.component.pid,
            len(pids),
            round(used, 3),
            self._limit.cpus,
            self._memory if alive else 0,
            self._limit.memory,
            round(min(waited, 1.0), 3),
            self.component.restarts,
            self.replaced,
        )

    def _count_replaced(self, workers: set[int]) -> None:
        """Count the workers that came beside as many as there were at once."""
        self._most = max(self._most, len(workers))
        self._seen |= workers

    def _measure(self, pids: list[int], now: float) -> None:
        if self._group:
            try:
                self._cpu, self._memory, self._throttled = self._group.consumption()
                return
            except OSError:
                self._group = None  # the stack ends
        self._cpu = sum(map(cpu_seconds, pids))
        if now - self._memory_at > MEMORY_INTERVAL:
            self._memory_at, self._memory = now, sum(memory_of(pid, shared=len(pids) > 1) for pid in pids)


class ComponentsWatch:
    """Looks at all components of a stack."""

    def __init__(self) -> None:
        self._watches: dict[str, ComponentWatch] = {}

    def look(self, state: State) -> dict[str, ComponentNumbers]:
        """Return the numbers of each component in the state of the stack, and of those that wait for their restart."""
        groups = ControlGroups(state.pid)
        for name, component in state.components.items():
            watch = self._watches.get(name)
            if not watch or watch.component != component:
                replaced = watch.replaced if watch else 0
                self._watches[name] = ComponentWatch(component, _group(groups, name), name.startswith("api"), replaced)
        return {name: watch.look() for name, watch in self._watches.items()}

    def forget(self) -> None:
        """Forget all components, because the stack has ended."""
        self._watches = {}


def _group(groups: ControlGroups, name: str) -> Group | None:
    group = groups.group(name)
    return group if all(os.path.isdir(path) for path in group) else None


def total_restarts(components: Iterable[ComponentNumbers]) -> int:
    """Return how often components were restarted and workers replaced."""
    return sum(one.restarts + one.replaced for one in components)
