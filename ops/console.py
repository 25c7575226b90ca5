"""Lines for the person at the terminal."""

import contextlib
import sys


def report(line: str) -> None:
    """Show what is going on: on one line of a terminal, elsewhere line by line."""
    with contextlib.suppress(OSError):  # nobody reads any more: that must not keep the stack from stopping
        if sys.stdout.isatty():
            print(f"\r\033[K{'rinha: ' if line else ''}{line}", end="", flush=True)
        elif line:
            print(f"rinha: {line}", flush=True)


def say(line: str) -> None:
    """Print a line that stays."""
    with contextlib.suppress(OSError):  # whoever read it may be gone
        print(f"rinha: {line}", flush=True)
