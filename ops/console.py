"""Output for the person at the terminal."""

import contextlib
import sys
from collections.abc import Callable

from ops.progress import ProgressLine

Progress = Callable[[str], None]  # receives a line for each step of long work, and "" at its end


class Share(str):
    """The line of a step of which `done` of `total` is done."""

    done: float
    total: float

    def __new__(cls, line: str, done: float, total: float) -> "Share":
        """Return the line with both numbers."""
        share = super().__new__(cls, line)
        share.done, share.total = done, total
        return share


_long_step = ProgressLine()


def show_progress(line: str) -> None:
    """Show a step of long work: on one line of a terminal, otherwise line by line. An empty line clears.

    A Share is shown at intervals, with the time that the rest takes.
    """
    if isinstance(line, Share) and line.total:
        line = _long_step.text(line, line.done, line.total)
        if not line:
            return
    else:
        _long_step.end()
    with contextlib.suppress(OSError):  # the reader may be gone, and the stack must still stop in order
        if sys.stdout.isatty():
            print(f"\r\033[K{'rinha: ' if line else ''}{line}", end="", flush=True)
        elif line:
            print(f"rinha: {line}", flush=True)


def show(line: str) -> None:
    """Print a line that stays."""
    with contextlib.suppress(OSError):
        print(f"rinha: {line}", flush=True)


def ignore_progress(line: str) -> None:
    """Show nothing."""
