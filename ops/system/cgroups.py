"""CPU and memory limits by control groups, in cgroup v1 and v2."""

import os
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ops.errors import OperatorError

ROOT = Path("/sys/fs/cgroup")
PROCESSES = Path("/proc")
NO_MEMORY_LIMIT = 1 << 62  # bytes; cgroup v1 reports "no limit" as the largest page-aligned value
PERIOD = 100_000  # microseconds, as docker and podman set it
MIN_QUOTA = 1_000  # microseconds; the kernel refuses a smaller one
REMOVAL_ATTEMPTS = 50  # at intervals of 20 ms: a process that has just ended still belongs to its group


class Limit(NamedTuple):
    """The most that a group may use: CPUs, which may be a fraction, and bytes of memory. 0 is no limit."""

    cpus: float
    memory: int


class Consumption(NamedTuple):
    """What a group has used.

    `cpu` is in seconds so far. `memory` is in bytes now, without file cache that the kernel can reclaim. `throttled`
    counts the periods in which the group reached its CPU limit.
    """

    cpu: float
    memory: int
    throttled: int


class Group(NamedTuple):
    """A control group: its directory for each controller. In cgroup v2 the three directories are the same."""

    cpu: Path
    cpuacct: Path
    memory: Path

    @classmethod
    def at(cls, path: str) -> "Group":
        """Return the group with this path below the root group."""
        return cls(*(_top(controller) / path.lstrip("/") for controller in cls._fields))

    @classmethod
    def of(cls, pid: int, name: str) -> "Group":
        """Return the group of a process, or the nearest group above it, that has `name` in its directory's name.

        Raises OperatorError if there is none, for instance because the container engine runs on another host.
        """
        try:
            lines = (PROCESSES / f"{pid}/cgroup").read_text().splitlines()
        except OSError:
            lines = []
        controller = "" if _is_v2() else "memory"
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                for group in (PurePosixPath(path), *PurePosixPath(path).parents):
                    if name in group.name:
                        return cls.at(str(group))
        raise OperatorError(f"process {pid} is in no control group of {name} on this machine")

    def set(self, limit: Limit) -> None:
        """Apply a limit to the group; raise OSError if this user may not."""
        period = PERIOD if limit.cpus * PERIOD >= MIN_QUOTA else 10 * PERIOD
        quota = round(limit.cpus * period)
        if _is_v2():
            (self.cpu / "cpu.max").write_text(f"{quota} {period}")
            (self.memory / "memory.max").write_text(str(limit.memory))
        else:
            (self.cpu / "cpu.cfs_period_us").write_text(str(period))
            (self.cpu / "cpu.cfs_quota_us").write_text(str(quota))
            (self.memory / "memory.limit_in_bytes").write_text(str(limit.memory))

    def limit(self) -> Limit:
        """Return the limit that the kernel applies to the group."""
        if _is_v2():
            quota, period = (self.cpu / "cpu.max").read_text().split()
            memory = (self.memory / "memory.max").read_text().strip()
        else:
            quota = (self.cpu / "cpu.cfs_quota_us").read_text().strip()
            period = (self.cpu / "cpu.cfs_period_us").read_text()
            memory = (self.memory / "memory.limit_in_bytes").read_text().strip()
        cpus = 0.0 if quota in ("max", "-1") else int(quota) / int(period)
        return Limit(cpus, 0 if memory == "max" or int(memory) >= NO_MEMORY_LIMIT else int(memory))

    def consumption(self) -> Consumption:
        """Return what the processes of the group have used."""
        statistics = _read_table(self.memory / "memory.stat")
        cpu = _read_table(self.cpu / "cpu.stat")
        if _is_v2():
            used = int((self.memory / "memory.current").read_text())
            return Consumption(cpu["usage_usec"] / 1e6, used - statistics["inactive_file"], cpu["nr_throttled"])
        nanoseconds = int((self.cpuacct / "cpuacct.usage").read_text())
        used = int((self.memory / "memory.usage_in_bytes").read_text())
        return Consumption(nanoseconds / 1e9, used - statistics["total_inactive_file"], cpu["nr_throttled"])


class ControlGroups:
    """The control groups of a stack: one for each component, in a group named after the supervisor's process id."""

    def __init__(self, supervisor: int) -> None:
        self._name = f"rinha-{supervisor}"

    def make(self, limits: Mapping[str, Limit]) -> None:
        """Make the groups and apply their limits; raise OperatorError if this user may not."""
        try:
            if _is_v2():
                for directory in (ROOT, ROOT / self._name):
                    directory.mkdir(exist_ok=True)
                    (directory / "cgroup.subtree_control").write_text("+cpu +memory")
            for component, limit in limits.items():
                for directory in self.group(component):
                    directory.mkdir(parents=True, exist_ok=True)
                self.group(component).set(limit)
        except OSError as error:
            self.remove()
            raise OperatorError(
                f"--cpus and --memory need permission to make control groups ({error}); run as root, or use compose"
            ) from None

    def join(self, component: str) -> None:
        """Move this process into the group of a component. Processes that it starts from then on are in it too."""
        for directory in set(self.group(component)):
            (directory / "cgroup.procs").write_text("0")

    def group(self, component: str) -> Group:
        """Return the group of a component."""
        return Group.at(f"{self._name}/{component}")

    def remove(self) -> None:
        """Remove the groups. The processes that are left in them move to the root group."""
        for top in {_top(controller) / self._name for controller in Group._fields}:
            for directory in [*(path for path in top.glob("*") if path.is_dir()), top]:
                _remove(directory, top.parent)


def available() -> bool:
    """Return whether this user may make control groups."""
    return os.access(_top("cpu"), os.W_OK)


def _is_v2() -> bool:
    """Return whether this is cgroup v2, which has one hierarchy for all controllers."""
    return (ROOT / "cgroup.controllers").exists()


def _top(controller: str) -> Path:
    # If cgroup v1 mounts two controllers together, a link of each controller's name leads to their one directory.
    return ROOT if _is_v2() else ROOT / controller


def _remove(directory: Path, successor: Path) -> None:
    """Move the processes of a group to its successor, and remove the group's directory."""
    try:
        for pid in (directory / "cgroup.procs").read_text().split():
            (successor / "cgroup.procs").write_text(pid)
        for _ in range(REMOVAL_ATTEMPTS):
            try:
                directory.rmdir()
                return
            except OSError:
                time.sleep(0.02)
    except OSError:
        pass


def _read_table(path: Path) -> dict[str, int]:
    """Return the numbers of a file with lines of a name and a number."""
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
