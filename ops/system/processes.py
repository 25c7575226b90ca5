"""Process groups, as /proc tells of them."""

import contextlib
import ctypes
import os
import signal
from pathlib import Path
from typing import NamedTuple

_PR_SET_PDEATHSIG = 1
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What a process group uses: processes, proportional memory in bytes, CPU in seconds so far."""

    processes: int
    memory: int
    cpu: float


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Make this process, just forked, end by a signal when its parent is gone, killed included."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def started_at(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 if there is none.

    Together with the process id this names a process for ever: ids are used again.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def members(group: int) -> list[int]:
    """Return the ids of the processes of a process group, zombies left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) and int(fields[2]) == group and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def usage(group: int) -> Usage:
    """Return what the processes of a group use now."""
    memory, cpu, pids = 0, 0.0, members(group)
    for pid in pids:
        fields = _stat(pid)
        if fields:
            cpu += (int(fields[11]) + int(fields[12])) / _TICKS
            memory += _proportional_memory(pid)
    return Usage(len(pids), memory, cpu)


def kill_group(group: int) -> None:
    """Kill what is left of a process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on, which follows the name in brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _proportional_memory(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
