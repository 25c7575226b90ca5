"""CPU and memory limits by control groups, versions 1 and 2, as containers get them."""

import os
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ops.errors import OperatorError

ROOT = Path("/sys/fs/cgroup")
PROCESSES = Path("/proc")
NO_MEMORY_LIMIT = 1 << 62  # bytes; version 1 has no word for none, and says the largest number of whole pages
PERIOD = 100_000  # microseconds; what docker and podman use
# Parts of the whole budget, for two instances; `up` is the supervisor of ./rinha up itself.
CPU_SHARES = {"mysql": 0.53, "api": 0.30, "nginx": 0.16, "up": 0.01}
MEMORY_SHARES = {"mysql": 0.66, "api": 0.24, "nginx": 0.06, "up": 0.04}


class Limit(NamedTuple):
    """At most so many CPUs (a fraction counts) and bytes of memory."""

    cpus: float
    memory: int


class Consumption(NamedTuple):
    """CPU in seconds so far, memory in bytes now without reclaimable file cache, and how often the CPU ran out."""

    cpu: float
    memory: int
    throttled: int


def divide(cpus: float, memory: int, instances: int) -> dict[str, Limit]:
    """Divide a budget among the components of a stack, so that the components add up to it."""
    names = {f"api{number}": "api" for number in range(1, instances + 1)}
    return {
        component: Limit(
            cpus * CPU_SHARES[share] / (instances if share == "api" else 1),
            int(memory * MEMORY_SHARES[share] / (instances if share == "api" else 1)),
        )
        for component, share in {"mysql": "mysql", **names, "nginx": "nginx", "up": "up"}.items()
    }


class Group(NamedTuple):
    """One control group: the directory of each controller in version 1, the same one three times in version 2."""

    cpu: Path
    cpuacct: Path
    memory: Path

    @classmethod
    def at(cls, path: str) -> "Group":
        """Return the one with this path below the root."""
        return cls(*(_top(controller) / path.lstrip("/") for controller in cls._fields))

    @classmethod
    def of(cls, pid: int, name: str) -> "Group":
        """Return the one that a process is in, itself or through a group within, and that has `name` in its own name.

        Raises OperatorError where there is none, as on a host that only talks to the one that has the process.
        """
        try:
            lines = (PROCESSES / f"{pid}/cgroup").read_text().splitlines()
        except OSError:
            lines = []
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if ("" if _unified() else "memory") in controllers.split(","):
                for within in (PurePosixPath(path), *PurePosixPath(path).parents):
                    if name in within.name:
                        return cls.at(str(within))
        raise OperatorError(f"process {pid} is in no control group of {name} on this machine")

    def set(self, limit: Limit) -> None:
        """Hold the group to a limit."""
        period = PERIOD if limit.cpus * PERIOD >= 1000 else 10 * PERIOD  # no quota may be below 1 ms
        quota = round(limit.cpus * period)
        if _unified():
            (self.cpu / "cpu.max").write_text(f"{quota} {period}")
            (self.memory / "memory.max").write_text(str(limit.memory))
        else:
            (self.cpu / "cpu.cfs_period_us").write_text(str(period))
            (self.cpu / "cpu.cfs_quota_us").write_text(str(quota))
            (self.memory / "memory.limit_in_bytes").write_text(str(limit.memory))

    def limit(self) -> Limit:
        """Return what the kernel holds the group to; 0 stands for no limit, as it does with docker and podman."""
        if _unified():
            quota, period = (self.cpu / "cpu.max").read_text().split()
            memory = (self.memory / "memory.max").read_text().strip()
        else:
            quota = (self.cpu / "cpu.cfs_quota_us").read_text().strip()
            period = (self.cpu / "cpu.cfs_period_us").read_text()
            memory = (self.memory / "memory.limit_in_bytes").read_text().strip()
        cpus = 0.0 if quota in ("max", "-1") else int(quota) / int(period)
        return Limit(cpus, 0 if memory == "max" or int(memory) >= NO_MEMORY_LIMIT else int(memory))

    def consumption(self) -> Consumption:
        """Return what the processes of the group use."""
        statistics = _table(self.memory / "memory.stat")
        cpu = _table(self.cpu / "cpu.stat")
        if _unified():
            used = int((self.memory / "memory.current").read_text())
            return Consumption(cpu["usage_usec"] / 1e6, used - statistics["inactive_file"], cpu["nr_throttled"])
        nanoseconds = int((self.cpuacct / "cpuacct.usage").read_text())
        used = int((self.memory / "memory.usage_in_bytes").read_text())
        return Consumption(nanoseconds / 1e9, used - statistics["total_inactive_file"], cpu["nr_throttled"])


class ControlGroups:
    """One group for each component, named by the process id of the stack's supervisor."""

    def __init__(self, supervisor: int) -> None:
        self._name = f"rinha-{supervisor}"

    def make(self, limits: Mapping[str, Limit]) -> None:
        """Make the groups and set their limits; raise OperatorError where that is not allowed."""
        try:
            if _unified():
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
                f"limits need permission to make control groups ({error}); run as root, or use compose"
            ) from None

    def join(self, component: str) -> None:
        """Put this process, and those it starts from now on, into a component's group."""
        for directory in set(self.group(component)):
            (directory / "cgroup.procs").write_text("0")

    def group(self, component: str) -> Group:
        """Return the group of a component."""
        return Group.at(f"{self._name}/{component}")

    def remove(self) -> None:
        """Remove the groups; whoever is left in them goes back to the root's."""
        for top in {_top(controller) / self._name for controller in Group._fields}:
            for directory in [*(path for path in top.glob("*") if path.is_dir()), top]:
                _empty(directory, top.parent)


def _unified() -> bool:
    """Tell whether this is version 2, which has one tree for all controllers."""
    return (ROOT / "cgroup.controllers").exists()


def _top(controller: str) -> Path:
    # Where version 1 mounts controllers together, the links of all their names lead to one directory.
    return ROOT if _unified() else ROOT / controller


def _empty(directory: Path, into: Path) -> None:
    try:
        for pid in (directory / "cgroup.procs").read_text().split():
            (into / "cgroup.procs").write_text(pid)
        for _ in range(50):
            try:
                directory.rmdir()
                return
            except OSError:
                time.sleep(0.02)  # a process that has just ended still counts for a moment
    except OSError:
        pass


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


def available() -> bool:
    """Tell whether this user may make control groups here."""
    return os.access(_top("cpu"), os.W_OK)
