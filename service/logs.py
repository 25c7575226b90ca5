"""Log lines as JSON, each with the id of the request that it belongs to, and without the values of the request."""

import contextlib
import json
import logging
import os
import re
import stat
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

request_id: ContextVar[str] = ContextVar("request_id", default="")

_QUOTED = re.compile(r"(?<!\w)'.*'", re.DOTALL)  # from the first quotation mark to the last: a value may have some


def hide_values(message: str) -> str:
    """Return a message without what it quotes, which may be a search term or a name."""
    return _QUOTED.sub("***", message)


class JSONFormatter(logging.Formatter):
    """Formats a record as one JSON object: time, level, pid, request_id and message, and exception if there is one.

    An exception is its type and its traceback. Its message may quote the request.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "pid": record.process,
            "request_id": request_id.get(),
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1]:
            line["exception"] = "\n".join(_traceback_of(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False)


def _traceback_of(error: BaseException) -> Iterator[str]:
    """Yield the traceback and the type of an error, after those of the error that it follows from."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier:
        yield from _traceback_of(earlier)
    yield "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__


class OutputFile:
    """The regular file to which standard error leads, and standard output if it leads there too."""

    def __init__(self) -> None:
        self._path = ""
        self._descriptors: list[int] = []
        with contextlib.suppress(OSError):  # standard error is closed
            if stat.S_ISREG(os.fstat(2).st_mode):
                path = os.readlink("/proc/self/fd/2")
                self._descriptors = [number for number in (1, 2) if _leads_to(number, path)]
                self._path = path if self._descriptors else ""

    def reopen_if_renamed(self) -> None:
        """If the file was renamed or removed, open a file of its name in its place; raise OSError if that fails."""
        if not self._path or _leads_to(2, self._path):
            return
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for number in self._descriptors:
            os.dup2(file, number)
        os.close(file)


def _leads_to(descriptor: int, path: str) -> bool:
    """Return whether a descriptor leads to the file that has a path now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


class ReopeningHandler(logging.StreamHandler[TextIO]):
    """Writes to standard error. If that is a file which was renamed, continues in a new file of the old name.

    So the logs can be rotated by renaming. All processes of an instance write to one file, and each one follows.
    """

    def __init__(self) -> None:
        super().__init__()
        self._file = OutputFile()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        with contextlib.suppress(OSError):  # the old file is better than none
            self._file.reopen_if_renamed()
        super().emit(record)


def configure(level: str) -> None:
    """Write the records of `level` and above to standard error."""
    handler = ReopeningHandler()
    handler.setFormatter(JSONFormatter())
    logging.basicConfig(level=level, handlers=[handler])
