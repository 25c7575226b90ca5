"""Waits for conditions that other processes bring about."""

import time
from collections.abc import Callable

TIMEOUT = 60.0  # seconds that only a failing test waits
INTERVAL = 0.02  # seconds between two evaluations of a condition


def is_true_within(seconds: float, condition: Callable[[], object]) -> bool:
    """Return whether a condition is true, or becomes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(INTERVAL)
    return True


def wait_until(
    condition: Callable[[], object],
    timeout: float = TIMEOUT,
    describe: Callable[[], object] = str,
    errors: tuple[type[Exception], ...] = (),
) -> None:
    """Return as soon as a condition is true; fail after `timeout` seconds with the text of `describe`.

    A condition that raises one of `errors` is not true yet.
    """

    def is_true() -> bool:
        try:
            return bool(condition())
        except errors:
            return False

    assert is_true_within(timeout, is_true), f"not within {timeout:g} s: {describe()}"
