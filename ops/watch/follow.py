"""Reads the lines that other processes append to a file, also while the file is rotated."""

import os
import time
from pathlib import Path
from typing import IO, NamedTuple

MAX_READ = 4 << 20  # bytes at once
LATE = 5.0  # seconds in which a process may still write to a file that was renamed


class _OpenFile(NamedTuple):
    """A file, what of its last line has come so far, and when the file was renamed (0.0: it has its name still)."""

    file: IO[bytes]
    rest: list[bytes]
    renamed_at: float = 0.0


class Follower:
    """Returns new complete lines of the file that has a path, whichever file that is at the moment."""

    def __init__(self, path: Path, from_start: bool = False) -> None:
        """Begin at the end of the file, or at its start. A file that appears later is read from its start."""
        self._path = path
        self._files: list[_OpenFile] = []
        self._open(path, from_start)

    def read(self) -> bytes:
        """Return the lines that have come, each with its newline; b"" if there are none."""
        self._reopen_if_renamed()
        return b"".join(map(_read_lines, self._files))

    def close(self) -> None:
        """Close the files."""
        for one in self._files:
            one.file.close()
        self._files = []

    def _open(self, path: Path, from_start: bool) -> None:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        if not from_start:
            file.seek(0, os.SEEK_END)
        self._files.append(_OpenFile(file, [b""]))

    def _reopen_if_renamed(self) -> None:
        """Open the file that has the name now. The renamed one is read a little longer, for what comes late."""
        now = time.monotonic()
        for one in [one for one in self._files if one.renamed_at and now - one.renamed_at > LATE]:
            one.file.close()
            self._files.remove(one)
        last = self._files[-1] if self._files else None
        if last and not last.renamed_at and not _is_at(last.file, self._path):
            last = self._files[-1] = last._replace(renamed_at=now)
        if not last or (last.renamed_at and self._path.exists()):
            for path in self._missed(last):
                self._open(path, from_start=True)
                self._files[-1] = self._files[-1]._replace(renamed_at=now)
            self._open(self._path, from_start=True)

    def _missed(self, last: _OpenFile | None) -> list[Path]:
        """Return the files that had the name since the last one lost it: NAME.1 is the newest."""
        missed: list[Path] = []
        while last:
            path = self._path.with_name(f"{self._path.name}.{len(missed) + 1}")
            if not path.exists() or _is_at(last.file, path):
                break
            missed.insert(0, path)
        return missed


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Return whether an open file is the one that has a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _read_lines(one: _OpenFile) -> bytes:
    """Return the complete lines that have come to a file, and keep the beginning of the next line."""
    if os.fstat(one.file.fileno()).st_size < one.file.tell():  # the file was emptied
        one.file.seek(0)
        one.rest[0] = b""
    data = one.rest[0] + one.file.read(MAX_READ)
    lines, newline, one.rest[0] = data.rpartition(b"\n")
    return lines + newline
