"""`up` in the foreground, on a terminal or with its output in a file."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.support.polling import TIMEOUT, wait_until
from tests.support.stack import SMALL, RunningStack, ops_command, ops_environment

TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Foreground:
    """`up` without --detach. Its output goes to a file, or to a terminal if `terminal`."""

    def __init__(self, stack: RunningStack, output: Path, terminal: bool = False) -> None:
        self.stack = stack
        self._output = output
        # With -u no line would wait in a buffer, and these tests would not see it.
        environment = {name: value for name, value in ops_environment().items() if name != "PYTHONUNBUFFERED"}
        command = ops_command("up", *SMALL, *stack.options)
        if terminal:  # a terminal belongs to the leader of a session that takes it
            command = [sys.executable, "-c", TAKE_TERMINAL, *command]
        with output.open("wb") as file:
            self.keyboard, end = pty.openpty()
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=end,
                stdout=end if terminal else file,
                stderr=end if terminal else file,
                start_new_session=True,
            )
            os.close(end)
        os.set_blocking(self.keyboard, False)

    def output(self) -> str:
        """Return the output so far."""
        try:
            while text := os.read(self.keyboard, 9999):
                with self._output.open("ab") as file:
                    file.write(text)
        except OSError:
            pass  # there is no more for now, or the terminal is closed
        return self._output.read_text()

    def wait_until_ready(self) -> None:
        """Wait until the stack is ready."""

        def is_ready() -> bool:
            assert self.process.poll() is None, self.output()
            state = self.stack.directory.last_state()
            return bool(state and state.pid == self.process.pid and state.ready)

        wait_until(is_ready, describe=self.output)

    def close_terminal(self) -> None:
        """Close the terminal."""
        os.close(self.keyboard)
        self.keyboard = -1

    def kill(self) -> None:
        """Kill the process, if it still runs."""
        if self.keyboard >= 0:
            self.close_terminal()
        self.process.kill()
        self.process.wait(TIMEOUT)
