"""What terminals and shells do to `up`: Ctrl-Z, Ctrl-\\, nohup. Commands from elsewhere still end, and say what is so.

Each situation is a row: which process of a running stack gets which signal, which command follows, and what is seen.
"""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from ops.system.processes import is_stopped
from tests.support.foreground import TAKE_TERMINAL, Foreground
from tests.support.people import remember_people
from tests.support.polling import TIMEOUT, wait_until
from tests.support.processes import check_no_process_left, kill_processes_of, processes_of
from tests.support.stack import SMALL, RunningStack, ops_command, ops_environment

pytestmark = pytest.mark.long

DOWN_TIMEOUT = 25  # seconds; a component that is killed for want of an answer takes 30


class Stopped(NamedTuple):
    """A process that is stopped, the command that is called, its exit status and what is seen; does the stack run?"""

    process: str
    command: str
    status: int
    seen: str
    runs: bool = False


STOPPED = (
    Stopped("up", "deploy", 1, r"rinha: ./rinha up is stopped and restarts nothing; .* kill -CONT \d+ .*\n", True),
    Stopped("up", "doctor", 1, r"FAILED  components (?s:.*)up is stopped(?s:.*)kill -CONT \d+(?s:.*)", True),
    Stopped("up", "status", 0, r"http://localhost(?s:.*)", True),
    Stopped("up", "down", 0, "rinha: stopped\n"),
    Stopped("api1", "deploy", 0, "(?s:.*)rinha: the new version serves\n", True),
    Stopped("nginx", "down", 0, "rinha: stopped\n"),
    Stopped("mysql", "down", 0, "rinha: stopped\n"),
    Stopped("api1", "down", 0, "rinha: stopped\n"),
)


@pytest.mark.parametrize("stopped", STOPPED, ids=lambda stopped: f"{stopped.process}, then {stopped.command}")
def test_a_command_ends_although_a_process_is_stopped(running_cli_stack: RunningStack, stopped: Stopped) -> None:
    are_served = remember_people(running_cli_stack)
    state = running_cli_stack.state
    pid = state.pid if stopped.process == "up" else state.components[stopped.process].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        completed = running_cli_stack.rinha(stopped.command, timeout=DOWN_TIMEOUT)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    assert re.fullmatch(stopped.seen, completed.stdout + completed.stderr), completed.stdout + completed.stderr
    assert completed.returncode == stopped.status
    if stopped.runs:
        wait_until(are_served)
    else:
        check_no_process_left(running_cli_stack.data)
        running_cli_stack.up()
        assert are_served()


@pytest.fixture
def foreground(stopped_cli_stack: RunningStack, tmp_path: Path) -> Iterator[Callable[[], Foreground]]:
    """Yield a function that starts `up` on a terminal, and returns once it is ready."""
    started: list[Foreground] = []

    def start() -> Foreground:
        started.append(Foreground(stopped_cli_stack, tmp_path / "output", terminal=True))
        started[-1].wait_until_ready()
        return started[-1]

    yield start
    for one in started:
        one.kill()
    wait_until(lambda: not processes_of(stopped_cli_stack.data))


@pytest.mark.parametrize("mode", ["-tostop", "tostop"])
def test_down_stops_a_stack_that_ctrl_z_has_stopped(stopped_cli_stack: RunningStack, mode: str) -> None:
    """With `stty tostop`, the terminal stops `up` again when it prints from the background."""
    shell = ["/bin/bash", "-mc", f'stty {mode}; "$@"; sleep 999', "bash"]
    command = [sys.executable, "-c", TAKE_TERMINAL, *shell, *ops_command("up", *SMALL, *stopped_cli_stack.options)]
    keyboard, end = pty.openpty()
    with subprocess.Popen(
        command, env=ops_environment(), stdin=end, stdout=end, stderr=end, start_new_session=True
    ) as job:
        os.close(end)
        try:
            wait_until(lambda: (state := stopped_cli_stack.directory.last_state()) and state.ready)
            up = stopped_cli_stack.state.pid
            os.write(keyboard, b"\x1a")
            wait_until(lambda: is_stopped(up), 5)

            completed = stopped_cli_stack.rinha("down", timeout=DOWN_TIMEOUT)

            assert (completed.returncode, completed.stdout) == (0, "rinha: stopped\n"), completed.stderr
            check_no_process_left(stopped_cli_stack.data)
        finally:
            os.close(keyboard)
            job.kill()
            kill_processes_of(stopped_cli_stack.data)


def test_the_quit_key_stops_a_stack_in_order(foreground: Callable[[], Foreground]) -> None:
    """Ctrl-\\ ended `up` at once, and the components by themselves."""
    running = foreground()

    os.write(running.keyboard, b"\x1c")

    wait_until(lambda: running.process.poll() is not None, describe=running.output)
    assert running.process.returncode == 0, running.output()
    assert "rinha: stopped" in running.output()
    assert running.stack.directory.last_state() is None
    check_no_process_left(running.stack.data)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_that_the_caller_ignores_stops_nothing(stopped_cli_stack: RunningStack, number: int) -> None:
    """nohup ignores SIGHUP; a shell without job control ignores the other two for a command with &."""
    with subprocess.Popen(
        ops_command("up", *SMALL, *stopped_cli_stack.options),
        env=ops_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),  # noqa: PLW1509 - this process has one thread
    ) as up:
        try:
            wait_until(lambda: _is_ready(stopped_cli_stack, up.pid))
            are_served = remember_people(stopped_cli_stack)

            up.send_signal(number)

            with pytest.raises(subprocess.TimeoutExpired):
                up.wait(3)
            assert are_served()
            stopped_cli_stack.down()
            assert up.wait(TIMEOUT) == 0
        finally:
            up.kill()


def test_ctrl_c_during_a_detached_start_stops_it(stopped_cli_stack: RunningStack) -> None:
    command = ops_command("up", "--detach", *SMALL, *stopped_cli_stack.options)
    with subprocess.Popen(command, env=ops_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as up:
        try:
            wait_until(stopped_cli_stack.directory.last_state)
            up.send_signal(signal.SIGINT)
            assert up.wait(TIMEOUT) == 130
            assert up.stderr
            assert up.stderr.read() == b""
            check_no_process_left(stopped_cli_stack.data)
        finally:
            up.kill()
            kill_processes_of(stopped_cli_stack.data)


def _is_ready(stack: RunningStack, pid: int) -> bool:
    state = stack.directory.last_state()
    return bool(state and state.pid == pid and state.ready)
