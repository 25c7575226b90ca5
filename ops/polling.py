"""Waits for conditions that other processes bring about."""

import time
from collections.abc import Callable

from ops.errors import OperatorError


def wait_until(condition: Callable[[], bool], failure: str, timeout: float, interval: float = 0.05) -> float:
    """Return the seconds until `condition` is true; raise OperatorError with `failure` after `timeout` seconds."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout:
            raise OperatorError(failure)
        time.sleep(interval)
    return time.monotonic() - started
