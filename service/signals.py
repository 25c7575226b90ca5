"""Waits for blocked signals."""

import signal
from collections.abc import Set


def wait_for_signal(signals: Set[signal.Signals], timeout: float) -> signal.Signals | None:
    """Return the one of the blocked `signals` that arrives first, or None if none arrives in `timeout` seconds."""
    arrived = signal.sigtimedwait(signals, timeout)
    # If the process is stopped or frozen until after the timeout, Python returns a structure with arbitrary numbers.
    if arrived and arrived.si_signo in signals:
        return signal.Signals(arrived.si_signo)
    return None
