"""A part of the stack: a process in a group of its own, started again whenever it dies."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ops.console import say
from ops.system.processes import end_with_parent, kill_group
from service.backoff import Backoff

LONGEST_PAUSE = 10.0  # seconds between two tries to start a part that does not stay up
STOP_TIMEOUT = 30.0  # seconds a part has to end after SIGTERM; MySQL writes its buffers back
AWAITED = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP}


class Supervised:
    """A part of the stack: a process in a group of its own, started again whenever it dies."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path | None,
        join: Callable[[], None] = lambda: None,
    ) -> None:
        """Append what it writes to the file `log`, or let it write where we do; `join` puts it into a control group."""
        self.name = name
        self._join = join
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self._command = command
        self._environment = environment
        self._log = log
        self._backoff = Backoff(LONGEST_PAUSE)
        self._started = 0.0

    def start(self) -> None:
        """Start the process."""
        with self._log.open("ab") if self._log else contextlib.nullcontext() as output:
            self.process = subprocess.Popen(
                self._command,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in the terminal is for us alone: we stop the parts in order
                preexec_fn=self._prepare,  # noqa: PLW1509 - this process has one thread
            )
        self._started = time.monotonic()

    def _prepare(self) -> None:
        end_with_parent()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)
        self._join()

    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def keep(self) -> bool:
        """Start the process again if it has died and its pause is over; tell whether it was started."""
        if self.process and self.process.poll() is not None:
            kill_group(self.process.pid)  # nginx's workers outlive a killed master, and hold its port
            pause = self._backoff.record_death(time.monotonic() - self._started)
            ending = _ending(self.process.returncode)
            ended = "died" if self.process.returncode else "ended"
            say(f"{self.name} {ended} ({ending}); starting it again in {pause:.1f} s")
            self.process = None
        if self.process or self._backoff.remaining():
            return False
        self.start()
        self.restarts += 1
        return True

    def stop(self, number: signal.Signals) -> None:
        """Stop the process by a signal, by SIGKILL if it does not heed it in time."""
        if not self.process:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            say(f"{self.name} did not stop in {STOP_TIMEOUT:.0f} s and was killed")
        kill_group(self.process.pid)
        self.process.wait()


def _ending(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit status {returncode}"
