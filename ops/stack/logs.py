"""The log files of a stack: each one is rotated by its size, and all together have a bound."""

import contextlib
import os
from pathlib import Path

from ops.stack.nginx import ACCESS_LOG

KEPT = 4  # rotated files of a log: NAME.1 is the newest, NAME.4 the oldest


class Logs:
    """The files NAME.log of a directory, with their rotated files NAME.log.1, NAME.log.2 and so on."""

    def __init__(self, directory: Path, limit: int) -> None:
        """`limit` bounds the bytes of all files together. Half of it is for nginx's access log."""
        self._directory = directory
        self._limit = limit

    def rotate(self) -> None:
        """Rename each log that has reached its size, and remove the oldest files beyond the limit.

        A process that writes to a renamed file must open the log again. Until then the process still writes to the
        renamed file, so no line is lost.
        """
        logs = list(self._directory.glob("*.log"))
        for log in logs:
            share = self._limit / 2 if log.name == ACCESS_LOG else self._limit / 2 / max(len(logs) - 1, 1)
            if _size(log) >= share / (KEPT + 1):
                _shift(log)
        self._remove_excess()

    def _remove_excess(self) -> None:
        """Remove the oldest rotated files beyond the limit: those of an earlier stack, which had a higher one."""
        total = sum(_size(file) for file in self._directory.glob("*.log*"))
        for file in sorted(self._directory.glob("*.log.*"), key=_modified_at):
            if total <= self._limit:
                break
            total -= _size(file)
            _discard(file)


def _shift(log: Path) -> None:
    """Rename a log to NAME.1, NAME.1 to NAME.2 and so on; discard the last one."""
    files = [log, *(log.with_name(f"{log.name}.{number}") for number in range(1, KEPT + 1))]
    _discard(files[-1])
    for older, newer in zip(reversed(files), reversed(files[:-1]), strict=False):
        with contextlib.suppress(FileNotFoundError):
            newer.rename(older)


def _discard(file: Path) -> None:
    """Remove a file and free its disk, also if an idle process still has the file open."""
    with contextlib.suppress(FileNotFoundError):
        os.truncate(file, 0)
        file.unlink()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _modified_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
