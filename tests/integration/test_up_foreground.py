"""`up` in the foreground prints its address, and stops every process however it is told to stop."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.commands import check_refused
from tests.support.foreground import Foreground
from tests.support.polling import TIMEOUT, is_true_within, wait_until
from tests.support.processes import processes_of
from tests.support.stack import SMALL, RunningStack, ops_command, ops_environment

StartForeground = Callable[..., Foreground]
STATUS_LINE = r"up \d+ s, mysql \d+ MB, reserve \d+ MB, api1 \d+ MB, nginx \d+ MB, 0 restarts"


@pytest.fixture
def foreground(stopped_cli_stack: RunningStack, tmp_path: Path) -> Iterator[StartForeground]:
    """Yield a function that starts `up` without --detach; it is killed after the test."""
    started: list[Foreground] = []

    def start(terminal: bool = False) -> Foreground:
        started.append(Foreground(stopped_cli_stack, tmp_path / "output", terminal))
        return started[-1]

    yield start
    for one in started:
        one.kill()
    wait_until(lambda: not processes_of(stopped_cli_stack.data))


def check_all_ended(stack: RunningStack) -> None:
    """Check that no process of a stack has outlived `up`."""
    assert processes_of(stack.data) == {}, "a process outlives up"


def test_up_prints_its_addresses_and_sigterm_stops_every_process(
    stopped_cli_stack: RunningStack, foreground: StartForeground
) -> None:
    """The addresses are printed once they serve: a line in a buffer would come late in a file or a pipe."""
    address = f"http://localhost:{stopped_cli_stack.port}"
    lines = (f"rinha: listening on {address}; ", f"rinha: page: {address}/   API browser: {address}/docs\n")
    running = foreground()
    running.wait_until_ready()
    printed = is_true_within(5, lambda: all(line in running.output() for line in lines))
    answer = stopped_cli_stack.wire.request("GET", "/contagem-pessoas")

    running.process.terminate()

    assert running.process.wait(TIMEOUT) == 0, running.output()
    check_all_ended(stopped_cli_stack)
    assert running.output().endswith("rinha: stopped\n")
    check_refused(stopped_cli_stack.rinha("status"), "nothing is running")
    assert answer.status == 200
    assert printed, "an address was not printed before the end"


def test_sigterm_during_the_start_stops_every_process(
    stopped_cli_stack: RunningStack, foreground: StartForeground
) -> None:
    running = foreground()

    def mysql_starts() -> bool:
        state = stopped_cli_stack.directory.last_state()
        return bool(state and state.pid == running.process.pid and "mysql" in state.components)

    wait_until(mysql_starts)
    running.process.terminate()

    assert running.process.wait(TIMEOUT) == 0, running.output()
    check_all_ended(stopped_cli_stack)
    assert "listening" not in running.output()


def test_up_shows_a_status_line_on_a_terminal_and_ctrl_c_stops_it(foreground: StartForeground) -> None:
    """The terminal sends SIGINT to the processes in the foreground: only to `up`, which stops the components."""
    running = foreground(terminal=True)
    running.wait_until_ready()
    address = f"listening on http://localhost:{running.stack.port}; "
    wait_until(lambda: address in running.output(), describe=running.output)
    wait_until(lambda: re.search(STATUS_LINE, running.output()), describe=running.output)

    state = running.stack.directory.running()
    sessions = {os.getsid(component.pid) for component in state.components.values()}
    assert os.getsid(state.pid) not in sessions, "Ctrl-C reaches a component too"
    os.write(running.keyboard, b"\x03")

    wait_until(lambda: running.process.poll() is not None, describe=running.output)
    assert running.process.returncode == 0, running.output()
    assert "rinha: stopped" in running.output()
    check_all_ended(running.stack)


def test_up_stops_cleanly_when_its_terminal_is_closed(foreground: StartForeground) -> None:
    running = foreground(terminal=True)
    running.wait_until_ready()

    running.close_terminal()

    running.process.wait(TIMEOUT)
    check_all_ended(running.stack)
    assert running.stack.directory.last_state() is None


def test_up_stops_cleanly_when_its_output_pipe_is_closed(stopped_cli_stack: RunningStack) -> None:
    """`./rinha up | head -1` closes the pipe before the last line."""
    running = subprocess.Popen(
        ops_command("up", *SMALL, *stopped_cli_stack.options),
        env=ops_environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def is_ready() -> bool:
        state = stopped_cli_stack.directory.last_state()
        return bool(state and state.pid == running.pid and state.ready)

    try:
        assert running.stdout
        wait_until(is_ready)
        running.stdout.close()

        running.terminate()

        running.wait(TIMEOUT)
        check_all_ended(stopped_cli_stack)
        assert stopped_cli_stack.directory.last_state() is None
    finally:
        running.kill()
        running.wait(TIMEOUT)
        wait_until(lambda: not processes_of(stopped_cli_stack.data))


def test_up_ignores_modules_in_the_working_directory(stopped_cli_stack: RunningStack, tmp_path: Path) -> None:
    for name in ("ops", "service", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the working directory')")

    completed = stopped_cli_stack.rinha("up", "--detach", cwd=tmp_path)

    assert completed.returncode == 0, completed.stdout + completed.stderr
