"""Output for the person at the terminal."""

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from ops.progress import ProgressLine
from ops.terminal import is_screen

Progress = Callable[[str], None]  # receives a line for each step of long work, and "" at its end

STANDARD_OUTPUT = "standard output"
DEFAULT_COLUMNS = 80  # of a terminal that does not know its width


class _StandardOutput(io.FileIO):
    """Standard output, whose errors name it."""

    def write(self, data: Any) -> Any:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


def prepare_streams() -> None:
    """Make the three standard streams usable, whatever state the caller has left them in.

    A closed one is opened, so that no other file gets its number, and still cannot be read or written. A character
    that the encoding of an output lacks is written as an escape.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)):
        try:
            os.set_blocking(number, True)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest free number, which is this one
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stderr = sys.stderr or io.TextIOWrapper(io.FileIO(2, "w", closefd=False), write_through=True)
    encoding = getattr(sys.stdout, "encoding", "utf-8")
    raw = _StandardOutput(1, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, errors="backslashreplace", line_buffering=raw.isatty()
    )


def discard_output() -> None:
    """Drop what cannot be written to standard output, also when this process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class Share(str):
    """The line of a step of which `done` of `total` is done."""

    done: float
    total: float

    def __new__(cls, line: str, done: float, total: float) -> "Share":
        """Return the line with both numbers."""
        share = super().__new__(cls, line)
        share.done, share.total = done, total
        return share


_long_step = ProgressLine()


def show_progress(line: str) -> None:
    """Show a step of long work: on one line of a terminal, otherwise line by line. An empty line clears.

    A Share is shown at intervals, with the time that the rest takes.
    """
    if isinstance(line, Share) and line.total:
        line = _long_step.text(line, line.done, line.total)
        if not line:
            return
    else:
        _long_step.end()
    with contextlib.suppress(OSError):  # the reader may be gone, and the stack must still stop in order
        if is_screen():
            print(f"\r\033[K{_cut(f'rinha: {line}') if line else ''}", end="", flush=True)
        elif line:
            print(f"rinha: {line}", flush=True)


def _cut(line: str) -> str:
    """Return a line that the terminal does not wrap: a wrapped line would stay on the screen at each step."""
    most = (os.get_terminal_size(sys.stdout.fileno()).columns or DEFAULT_COLUMNS) - 1
    plain = re.sub(r"\033\[[\d;]*m", "", line)
    return line if len(plain) <= most else plain[:most]


def show(line: str) -> None:
    """Print a line that stays."""
    write(f"rinha: {line}\n")


def write(text: str) -> None:
    """Write text at once. If that is impossible, the text stays in the buffer, and the end of the command tells it."""
    with contextlib.suppress(OSError):
        print(text, end="", flush=True)


def show_json(document: object) -> None:
    """Print a document as one line of JSON, whatever the encoding of the output."""
    text = json.dumps(document, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(document)
    print(text)


def ignore_progress(line: str) -> None:
    """Show nothing."""
