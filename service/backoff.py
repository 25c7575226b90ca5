"""Growing pauses between attempts to start what does not stay up."""

import time


class Backoff:
    """Tells when the next attempt is due: at once, then after pauses that double up to `longest` seconds.

    A process that ran for `longest` seconds was stable: its death counts as the first.
    """

    FIRST_PAUSE = 0.1  # seconds

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._pause = 0.0
        self._due_at = 0.0

    def record_death(self, lifetime: float) -> float:
        """Return the pause in seconds before the next attempt, after a process that ran for `lifetime` seconds."""
        grown = 0.0 if lifetime > self._longest else 2 * self._pause
        self._pause = min(max(grown, self.FIRST_PAUSE), self._longest)
        self._due_at = time.monotonic() + self._pause
        return self._pause

    def remaining(self) -> float:
        """Return the seconds until the next attempt is due; 0 if it is."""
        return max(self._due_at - time.monotonic(), 0.0)
