"""Progress on a terminal is one line that is replaced, whatever the terminal is like."""

import fcntl
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from tests.support.foreground import TAKE_TERMINAL
from tests.support.polling import TIMEOUT
from tests.support.stack import ops_environment

STEP = "print(end='', flush=True); console.show_progress('one step of work, ' * 20)"


IN_BACKGROUND = f"""
import os
if child := os.fork():
    os.waitpid(child, 0)
else:
    os.setpgrp()
    {STEP}
"""


class Terminal(NamedTuple):
    """A terminal and what a process in it does, with the longest line that is seen, and whether it is replaced."""

    name: str
    columns: int
    longest: int
    is_replaced: bool = True
    variables: Mapping[str, str] = {"TERM": "xterm"}
    program: str = STEP


TERMINALS = (
    Terminal("narrow", 20, 19),
    Terminal("of no known width", 0, 79),
    Terminal("wide", 500, 367),
    Terminal("with another width in COLUMNS", 30, 29, variables={"TERM": "xterm", "COLUMNS": "200"}),
    Terminal("without control sequences", 20, 367, is_replaced=False, variables={"TERM": "dumb"}),
    Terminal("without a type", 20, 367, is_replaced=False, variables={"TERM": ""}),
    Terminal("of another job", 20, 367, is_replaced=False, program=IN_BACKGROUND),
)


@pytest.mark.parametrize("terminal", TERMINALS, ids=lambda terminal: terminal.name)
def test_progress_is_one_line_of_the_terminal_that_is_replaced(terminal: Terminal) -> None:
    """A line that wraps would stay on the screen at each step; in the background it would replace what is typed."""
    program = f"from ops import console; console.prepare_streams()\n{terminal.program}"
    keyboard, end = pty.openpty()
    termios.tcsetwinsize(end, (24, terminal.columns))
    command = [sys.executable, "-c", TAKE_TERMINAL, sys.executable, "-P", "-c", program]
    subprocess.run(
        command,
        env={**ops_environment(), **terminal.variables},
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
        timeout=TIMEOUT,
        check=True,
    )
    fcntl.fcntl(keyboard, fcntl.F_SETFL, os.O_NONBLOCK)
    seen = os.read(keyboard, 9999).decode()
    os.close(keyboard)
    os.close(end)

    assert ("\033" in seen) == terminal.is_replaced
    assert max(map(len, re.split(r"[\r\n]+|\033\[K", seen))) == terminal.longest
