"""A command on a terminal of its own, as a person sees it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping

from tests.support.foreground import TAKE_TERMINAL
from tests.support.polling import TIMEOUT, wait_until
from tests.support.stack import ops_command, ops_environment

HOME = "\x1b[H"  # begins each picture of a screen

_CONTROL = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")
_COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7])(?:;\d+)*m")


class TerminalCommand:
    """A command of ./rinha on a terminal of so many columns."""

    def __init__(self, *arguments: str, columns: int = 100, environment: Mapping[str, str] | None = None) -> None:
        self.keyboard, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.before = termios.tcgetattr(end)
        variables = {name: value for name, value in ops_environment().items() if name not in ("NO_COLOR", "COLUMNS")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *ops_command(*arguments)],
            env={**variables, "TERM": "xterm-256color", **(environment or {})},
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
        )
        self._end = end
        self._output = ""
        os.set_blocking(self.keyboard, False)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self.keyboard, keys.encode())

    def output(self) -> str:
        """Return all that was written so far."""
        try:
            while text := os.read(self.keyboard, 99999):
                self._output += text.decode(errors="replace")
        except OSError:
            pass  # there is no more for now
        return self._output

    def lines(self) -> list[str]:
        """Return the lines that were written so far, without control sequences."""
        return re.split(r"\r\n|\r|\n", _CONTROL.sub("", self.output().replace(HOME, "\n")))

    def wait_for(self, text: str) -> None:
        """Wait until a text is written after all that was written before."""
        start = len(self.output())
        wait_until(lambda: text in _CONTROL.sub("", self.output()[start:]), describe=lambda: self.output()[start:])

    def has_colours(self) -> bool:
        """Return whether anything was written in a colour."""
        return bool(_COLOUR.search(self.output()))

    def wait(self) -> int:
        """Wait until the command ends; return its exit status."""

        def has_ended() -> bool:
            self.output()  # a full terminal would hold the command back
            return self.process.poll() is not None

        wait_until(has_ended, describe=self.output)
        return self.process.wait(TIMEOUT)

    def is_as_before(self) -> bool:
        """Return whether the terminal has the settings that it had before the command."""
        return termios.tcgetattr(self._end) == self.before

    def close(self) -> None:
        """End the command and close the terminal."""
        self.process.kill()
        self.process.wait(TIMEOUT)
        os.close(self._end)
        os.close(self.keyboard)
