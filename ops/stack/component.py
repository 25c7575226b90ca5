"""A component of the stack: a supervised process, which is restarted when it dies."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ops.console import show
from ops.system.processes import ask_to_end, end_with_parent, kill_group
from service.backoff import Backoff

MAX_PAUSE = 10.0  # seconds between two attempts to start a component that keeps dying
STOP_TIMEOUT = 30.0  # seconds from SIGTERM to SIGKILL; MySQL writes its buffers back
FILES_TIMEOUT = 60.0  # seconds in which a new process makes its files; MySQL may have to recover its data first
MISSING_TIMEOUT = 15.0  # seconds without its files; an instance that stops removes its sockets first
REOPEN_LOGS = signal.SIGUSR1  # nginx and MySQL then open their logs again
SUPERVISOR_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD, signal.SIGHUP}


class Component:
    """A process that leads a process group of its own."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path | None,
        join_control_group: Callable[[], None] = lambda: None,
    ) -> None:
        """Define a component with its whole environment. Its output is appended to `log`, or goes where ours goes.

        `join_control_group` is called in the new process before it executes `command`.
        """
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self.inherited: Sequence[int] = ()  # the open files that the process has from this one
        self.files: Sequence[Path] = ()  # that the process makes when it starts, and needs
        self.before_restart: Callable[[], None] = lambda: None
        self._command = command
        self._environment = environment
        self._log = log
        self._join_control_group = join_control_group
        self._backoff = Backoff(MAX_PAUSE)
        self._started = 0.0
        self._complete_at = 0.0  # when all files were there last, or the time to make them ended

    def start(self) -> None:
        """Start the process; raise OSError or SubprocessError if that is impossible."""
        with self._log.open("ab") if self._log else contextlib.nullcontext() as output:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the components in order
                pass_fds=self.inherited,
                preexec_fn=self._begin,  # noqa: PLW1509 - this process has one thread
            )
        self._started = time.monotonic()
        self._complete_at = self._started + FILES_TIMEOUT

    def _begin(self) -> None:
        end_with_parent()
        # Otherwise the signal would end a program that does not handle it yet. nginx and MySQL unblock it.
        signal.pthread_sigmask(signal.SIG_SETMASK, {REOPEN_LOGS})
        self._join_control_group()

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def exit_status(self) -> int:
        """Return the exit status of a process that has ended, negative for a signal; 0 of one that runs."""
        return (self.process.poll() or 0) if self.process else 0

    def last_words(self) -> str:
        """Return the last line of the log."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log else []
        return lines[-1].strip() if lines else "it has said nothing"

    def restart_if_dead(self) -> bool:
        """Restart the process if it has died and its pause is over; return whether it was restarted."""
        if self.process and self.process.poll() is not None:
            kill_group(self.process.pid)  # the workers of a killed nginx would keep its port
            pause = self._backoff.record_death(time.monotonic() - self._started)
            how = f"signal {-code}" if (code := self.process.returncode) < 0 else f"exit status {code}"
            show(f"{self.name} {'died' if code else 'ended'} ({how}); starting it again in {pause:.1f} s")
            self.process = None
        if self.process or self._backoff.remaining():
            return False
        try:
            self.before_restart()
            self.start()
        except (OSError, subprocess.SubprocessError) as error:
            pause = self._backoff.record_death(0)
            show(f"{self.name} cannot be started ({error}); trying again in {pause:.1f} s")
            return False
        self.restarts += 1
        return True

    def reopen_logs(self) -> None:
        """Make nginx or MySQL open the logs again that it has opened by itself."""
        if self.process:
            self.process.send_signal(REOPEN_LOGS)

    def end_without_files(self) -> None:
        """Ask the process to end if it lacks one of its files for `MISSING_TIMEOUT` seconds; its successor makes it."""
        missing = [file.name for file in self.files if not os.path.lexists(file)]
        now = time.monotonic()
        if not missing:
            self._complete_at = now
        elif self.is_alive() and now - self._complete_at > MISSING_TIMEOUT:
            show(f"{self.name} is ended, to make its files again: {', '.join(missing)}")
            self._complete_at = now
            self._ask_to_end(signal.SIGTERM)

    def _ask_to_end(self, number: signal.Signals) -> None:
        if self.process and self.process.poll() is None:
            ask_to_end(self.process.pid, number)

    def stop(self, number: signal.Signals) -> None:
        """Stop the process by a signal, and by SIGKILL after `STOP_TIMEOUT` seconds."""
        if not self.process:
            return
        self._ask_to_end(number)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            show(f"{self.name} did not stop in {STOP_TIMEOUT:.0f} s and was killed")
        kill_group(self.process.pid)
        self.process.wait()
