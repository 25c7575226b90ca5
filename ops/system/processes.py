"""Process groups of this machine: their members, their resources, their end."""

import contextlib
import ctypes
import os
import signal
from pathlib import Path
from typing import NamedTuple

_PR_SET_PDEATHSIG = 1
_TICKS = os.sysconf("SC_CLK_TCK")  # a second
_PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes


class Usage(NamedTuple):
    """The resources of a process group: processes, proportional memory in bytes, and CPU in seconds so far."""

    processes: int
    memory: int
    cpu: float


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Make the kernel send this process a signal when its parent ends. Call this just after a fork."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def started_at(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 if no process has this id.

    The kernel reuses process ids. An id and a start time together identify one process.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def members(group: int) -> list[int]:
    """Return the ids of the processes of a process group, without zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) and int(fields[2]) == group and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def family(leader: int) -> list[int]:
    """Return a process and its descendants, the process first.

    This reads a few files, where `members` reads those of every process. A kernel without these files has `members`.
    """
    found = [leader]
    try:
        for pid in found:
            with open(f"/proc/{pid}/task/{pid}/children", "rb", buffering=0) as file:  # PERF: see `_stat`
                found += map(int, file.read().split())
    except FileNotFoundError:
        return sorted(members(leader), key=lambda pid: pid != leader)
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, in seconds; 0.0 if the process has ended."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def memory_of(pid: int, shared: bool) -> int:
    """Return a process's memory in bytes; 0 if the process has ended.

    With `shared`, pages that it shares with other processes count in part. That takes milliseconds for a large process.
    """
    if shared:
        return _proportional_memory(pid)
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def usage(group: int) -> Usage:
    """Return the resources that the processes of a group use now."""
    memory, cpu, pids = 0, 0.0, members(group)
    for pid in pids:
        fields = _stat(pid)
        if fields:
            cpu += (int(fields[11]) + int(fields[12])) / _TICKS
            memory += _proportional_memory(pid)
    return Usage(len(pids), memory, cpu)


def is_stopped(pid: int) -> bool:
    """Return whether Ctrl-Z or a signal has stopped a process, which continues at SIGCONT."""
    return _stat(pid)[:1] == ["T"]


def ask_to_end(pid: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Send a process a signal that ends it. A stopped process continues, as it would not receive the signal."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)


def kill_group(group: int) -> None:
    """Kill the processes that remain of a process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none if the process has ended.

    The state follows the command's name in brackets, which may contain spaces and brackets.
    """
    try:
        # PERF: a board reads many of these files. Path.read_text takes three times as long.
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return file.read().decode(errors="replace").rpartition(") ")[2].split()
    except OSError:
        return []


def _proportional_memory(pid: int) -> int:
    """Return a process's memory in bytes, with its share of shared pages; 0 if the process has ended."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
