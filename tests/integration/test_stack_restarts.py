"""A stack serves all of its people after down and up, and after kills."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from ops.system.processes import members
from tests.support.commands import check_refused, status_of
from tests.support.foreground import Foreground
from tests.support.people import create_person, new_nickname, remember_people
from tests.support.polling import TIMEOUT, is_true_within, wait_until
from tests.support.processes import check_no_process_left, processes_of
from tests.support.stack import RunningStack, ops_command, ops_environment


@pytest.mark.long
def test_up_starts_after_the_first_up_was_killed(cli_stack: RunningStack, tmp_path: Path) -> None:
    """`up` is killed while it initialises the database; the next `up` starts over."""
    assert not (cli_stack.data / "mysql").exists(), "this must be the first test of the stack"
    first = Foreground(cli_stack, tmp_path / "output")
    try:
        wait_until((cli_stack.data / "mysql/mysql.ibd").exists, describe=first.output)
    finally:
        first.kill()

    cli_stack.up()

    assert remember_people(cli_stack)()
    assert not [command for command in processes_of(cli_stack.data).values() if "--initialize" in command]


def test_people_survive_down_and_up(running_cli_stack: RunningStack) -> None:
    are_served = remember_people(running_cli_stack)

    completed = running_cli_stack.rinha("down")

    assert (completed.returncode, completed.stdout) == (0, "rinha: stopped\n")
    check_no_process_left(running_cli_stack.data)
    check_refused(running_cli_stack.rinha("down"), "nothing is running")
    check_refused(running_cli_stack.rinha("status"), "nothing is running")
    running_cli_stack.up()
    assert are_served()


def test_two_stacks_run_side_by_side(running_cli_stack: RunningStack, stack: RunningStack) -> None:
    others_are_served, are_served = remember_people(stack), remember_people(running_cli_stack)

    assert others_are_served(), "people of one stack are in the other"
    assert are_served()
    nickname = new_nickname()
    for one in (running_cli_stack, stack):
        assert create_person(one.wire, apelido=nickname).status == 201


@pytest.mark.parametrize("component", ["mysql", "nginx", "api1", "a worker"])
def test_a_killed_component_is_restarted(running_cli_stack: RunningStack, component: str) -> None:
    """Within 20 s the service serves all of its people."""
    are_served = remember_people(running_cli_stack)
    before = status_of(running_cli_stack)
    if component == "a worker":
        group = before["components"]["api1"]["pid"]
        victim = next(pid for pid in members(group) if pid != group)
    else:
        victim = before["components"][component]["pid"]

    os.kill(victim, signal.SIGKILL)

    def is_restored() -> bool:
        now = status_of(running_cli_stack)
        pids = {pid for one in now["components"].values() for pid in members(one["pid"])}
        counts = [{name: one["processes"] for name, one in status["components"].items()} for status in (before, now)]
        return victim not in pids and counts[0] == counts[1] and are_served()

    wait_until(is_restored, timeout=20, describe=lambda: status_of(running_cli_stack))


def test_up_starts_after_up_was_killed(running_cli_stack: RunningStack) -> None:
    """`up` waits for the processes of the killed one, for instance for a stopped nginx that holds the port."""
    are_served = remember_people(running_cli_stack)
    before = status_of(running_cli_stack)
    slow = before["components"]["nginx"]["pid"]
    command = ops_command("up", *running_cli_stack.options, "--detach")

    os.killpg(slow, signal.SIGSTOP)
    try:
        os.kill(before["pid"], signal.SIGKILL)
        with subprocess.Popen(command, env=ops_environment(), stdout=subprocess.DEVNULL) as following:
            gave_up = is_true_within(1, lambda: following.poll() is not None)
            os.killpg(slow, signal.SIGCONT)
            assert following.wait(TIMEOUT) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(slow, signal.SIGCONT)

    assert not gave_up
    assert are_served()
    after = status_of(running_cli_stack)
    assert after["pid"] != before["pid"]
    for name, component in before["components"].items():
        assert not members(component["pid"]), f"{name} is left"
