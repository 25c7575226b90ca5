"""The processes that use a data directory, and stand-ins for programs."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.support.polling import wait_until


def processes_of(directory: Path) -> dict[int, str]:
    """Return the processes that have a path in `directory` in their command line or open, with their command lines."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            opened = [os.readlink(link) for link in (process / "fd").iterdir()]
        except OSError:
            continue  # the process has ended meanwhile
        if os.fsencode(directory) in command or any(name.startswith(f"{directory}/") for name in opened):
            found[int(process.name)] = command.replace(b"\0", b" ").decode()
    return found


def check_no_process_left(directory: Path) -> None:
    """Check that no process uses `directory`, after the moment that the kernel needs to remove killed ones."""
    wait_until(lambda: not processes_of(directory), 5, lambda: f"left: {processes_of(directory)}")


def kill_processes_of(directory: Path) -> None:
    """Kill what a failed test has left."""
    kill(*processes_of(directory))


def kill(*pids: int) -> None:
    """Kill processes; those that have ended are ignored."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def make_program(path: Path, script: str) -> Path:
    """Make a program that runs a shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path
