"""CPU and memory limits by control groups, versions 1 and 2, as containers get them."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ops.folder import OperatorError

ROOT = Path("/sys/fs/cgroup")
PERIOD = 100_000  # microseconds; what docker and podman use
# Parts of the whole budget, for two instances; `up` is the supervisor of ./rinha up itself.
CPU_SHARES = {"mysql": 0.59, "api": 0.29, "nginx": 0.11, "up": 0.01}
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
    """Divide a budget among the parts of a stack, so that the parts add up to it."""
    names = {f"api{number}": "api" for number in range(1, instances + 1)}
    return {
        part: Limit(
            cpus * CPU_SHARES[share] / (instances if share == "api" else 1),
            int(memory * MEMORY_SHARES[share] / (instances if share == "api" else 1)),
        )
        for part, share in {"mysql": "mysql", **names, "nginx": "nginx", "up": "up"}.items()
    }


class ControlGroups:
    """One group for each part, named by the process id of the stack's supervisor."""

    def __init__(self, supervisor: int) -> None:
        self._name = f"rinha-{supervisor}"
        self._unified = (ROOT / "cgroup.controllers").exists()

    def make(self, limits: Mapping[str, Limit]) -> None:
        """Make the groups and set their limits; raise OperatorError where that is not allowed."""
        try:
            if self._unified:
                for folder in (ROOT, ROOT / self._name):
                    folder.mkdir(exist_ok=True)
                    (folder / "cgroup.subtree_control").write_text("+cpu +memory")
            for part, limit in limits.items():
                for folder in self._folders(part):
                    folder.mkdir(parents=True, exist_ok=True)
                cpu, memory = self._file(part, "cpu"), self._file(part, "memory")
                period = PERIOD if limit.cpus * PERIOD >= 1000 else 10 * PERIOD  # no quota may be below 1 ms
                quota = round(limit.cpus * period)
                if self._unified:
                    (cpu / "cpu.max").write_text(f"{quota} {period}")
                    (memory / "memory.max").write_text(str(limit.memory))
                else:
                    (cpu / "cpu.cfs_period_us").write_text(str(period))
                    (cpu / "cpu.cfs_quota_us").write_text(str(quota))
                    (memory / "memory.limit_in_bytes").write_text(str(limit.memory))
        except OSError as error:
            self.remove()
            raise OperatorError(
                f"limits need permission to make control groups ({error}); run as root, or use compose"
            ) from None

    def join(self, part: str) -> None:
        """Put this process, and those it starts from now on, into a part's group."""
        for folder in self._folders(part):
            (folder / "cgroup.procs").write_text("0")

    def consumption(self, part: str) -> Consumption:
        """Return what a part uses."""
        statistics = _table(self._file(part, "memory") / "memory.stat")
        if self._unified:
            cpu = _table(self._file(part, "cpu") / "cpu.stat")
            used = int((self._file(part, "memory") / "memory.current").read_text())
            return Consumption(cpu["usage_usec"] / 1e6, used - statistics["inactive_file"], cpu["nr_throttled"])
        nanoseconds = int((self._file(part, "cpuacct") / "cpuacct.usage").read_text())
        used = int((self._file(part, "memory") / "memory.usage_in_bytes").read_text())
        throttled = _table(self._file(part, "cpu") / "cpu.stat")["nr_throttled"]
        return Consumption(nanoseconds / 1e9, used - statistics["total_inactive_file"], throttled)

    def remove(self) -> None:
        """Remove the groups; whoever is left in them goes back to the root's."""
        for controller in [""] if self._unified else ["cpu", "cpuacct", "memory"]:
            top = ROOT / controller / self._name
            for folder in [*(path for path in top.glob("*") if path.is_dir()), top]:
                _empty(folder, top.parent)

    def _folders(self, part: str) -> set[Path]:
        return {self._file(part, controller) for controller in ("cpu", "cpuacct", "memory")}

    def _file(self, part: str, controller: str) -> Path:
        # Where version 1 mounts controllers together, the links of all their names lead to one folder.
        return (ROOT if self._unified else ROOT / controller) / self._name / part


def _empty(folder: Path, into: Path) -> None:
    try:
        for pid in (folder / "cgroup.procs").read_text().split():
            (into / "cgroup.procs").write_text(pid)
        for _ in range(50):
            try:
                folder.rmdir()
                return
            except OSError:
                time.sleep(0.02)  # a process that has just ended still counts for a moment
    except OSError:
        pass


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


def available() -> bool:
    """Tell whether this user may make control groups here."""
    return os.access(ROOT if (ROOT / "cgroup.controllers").exists() else ROOT / "cpu", os.W_OK)
