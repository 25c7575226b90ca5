"""Output for the person at the terminal."""

import contextlib
import sys
from collections.abc import Callable

Progress = Callable[[str], None]  # receives a line for each step of long work, and "" at its end


def show_progress(line: str) -> None:
    """Show a step of long work: on one line of a terminal, otherwise line by line. An empty line clears."""
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
