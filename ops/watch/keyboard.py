"""Single keys from the terminal."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_keys() -> Iterator[bool]:
    """Let keys arrive at once and unseen, if standard input is a terminal; yield whether it is."""
    if not sys.stdin.isatty():
        yield False
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def key_within(seconds: float, has_keys: bool) -> str:
    """Wait for a key and return it; return "" if none comes in so many seconds, or there are no keys."""
    readable, _, _ = select.select([sys.stdin] if has_keys else [], [], [], seconds)
    if not readable:
        return ""
    key = os.read(sys.stdin.fileno(), 1)
    if not key:  # the terminal is gone, and reading would return at once for ever
        time.sleep(seconds)
    return key.decode(errors="replace")
