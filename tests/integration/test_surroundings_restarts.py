"""Commands while MySQL restarts or hangs: a command waits for MySQL, or says that MySQL does not answer.

Each situation is a row: what happens to MySQL, the command, its exit status, and a pattern of what it prints.
"""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.audit import Auditor
from bench.host_stack import HostStack
from ops.stack.availability import wait_for_mysql
from service.person import OFFICIAL
from service.store import PeopleStore
from tests.support.polling import wait_until
from tests.support.stack import RunningStack, ops_command, ops_environment, running_stack


class Situation(NamedTuple):
    """What happens to MySQL just before a command, its exit statuses, and a pattern of all that it prints."""

    mysql: str
    command: str
    statuses: tuple[int, ...]
    seen: str


PROGRESS = r"(rinha: .*\n)*"
WAITING = r"rinha: waiting for MySQL\n"
LAST = r"rinha: MySQL does not answer: .*"
SITUATIONS = (
    Situation("killed", "seed 1200", (0,), rf"{PROGRESS}rinha: (.* )?1,200 of 1,200 people.*\n"),
    Situation(
        "killed",
        "doctor",
        (0,),
        rf"{PROGRESS}ok +components +running: mysql, reserve, api1, nginx\n((ok|rinha:) .*\n)+",
    ),
    Situation("killed", "deploy", (0,), rf"{PROGRESS}rinha: the new version serves\n"),
    Situation("stopped", "status", (0,), r"http.*  MySQL does not answer\n(.*\n)+"),
)
SLOW_SITUATIONS = (
    Situation("killed", "explain ana", (0,), rf"{PROGRESS}plan: (?s:.*)"),
    Situation("killed", "sql -e DO(0)", (0, 1), r"(ERROR 2002 .*\n)?"),
    Situation("killed", "status", (0,), r"http.*(MySQL does not answer|rows)\n(.*\n)+"),
    Situation("stopped", "doctor", (1,), rf"{WAITING}ok (.*\n)+FAILED +MySQL +MySQL does not answer: .*\n.*\n"),
    Situation("stopped", "deploy", (1,), rf"{WAITING}{LAST}; nothing was restarted\n"),
    Situation("stopped", "seed 9999", (1,), rf"{WAITING}{LAST}\n"),
    Situation("stopped", "explain ana", (1,), rf"{WAITING}{LAST}\n"),
)


def kill(stack: RunningStack) -> None:
    os.kill(stack.state.components["mysql"].pid, signal.SIGKILL)


def stop(stack: RunningStack) -> None:
    os.kill(stack.state.components["mysql"].pid, signal.SIGSTOP)


FAULTS: dict[str, Callable[[RunningStack], None]] = {"killed": kill, "stopped": stop}


@pytest.fixture(scope="module")
def restarting_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield a stack whose MySQL is killed and stopped."""
    with running_stack(tmp_path_factory.mktemp("restarts"), "--instances", "1", "--workers", "2") as stack:
        yield stack


def check(stack: RunningStack, situation: Situation) -> None:
    wait_until(lambda: "mysql" in stack.state.components)
    wait_for_mysql(stack.directory)
    FAULTS[situation.mysql](stack)
    try:
        completed = subprocess.run(
            ops_command(*situation.command.split(), *stack.options),
            env=ops_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=110,
        )
    finally:
        if situation.mysql == "stopped":
            os.kill(stack.state.components["mysql"].pid, signal.SIGCONT)

    assert completed.returncode in situation.statuses, completed.stdout
    assert re.fullmatch(situation.seen, completed.stdout), completed.stdout


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: f"{one.mysql}, {one.command}")
def test_a_command_waits_for_mysql_or_says_that_it_does_not_answer(
    restarting_stack: RunningStack, situation: Situation
) -> None:
    check(restarting_stack, situation)


@pytest.mark.long
@pytest.mark.parametrize("situation", SLOW_SITUATIONS, ids=lambda one: f"{one.mysql}, {one.command}")
def test_a_command_does_not_wait_for_ever_for_a_mysql_that_hangs(
    restarting_stack: RunningStack, situation: Situation
) -> None:
    check(restarting_stack, situation)


def test_a_seed_continues_after_mysql_was_killed(restarting_stack: RunningStack, tmp_path: Path) -> None:
    stack = restarting_stack
    wait_for_mysql(stack.directory)
    store = PeopleStore(stack.config)
    before = store.count()
    output = tmp_path / "output"
    with output.open("wb") as file:
        seed = subprocess.Popen(
            ops_command("seed", str(before + 6000), *stack.options), env=ops_environment(), stdout=file, stderr=file
        )
    try:
        wait_until(lambda: store.count() > before)
        kill(stack)
        assert seed.wait(60) == 0, output.read_text()
    finally:
        seed.kill()
        seed.wait()

    assert "waiting for MySQL" in output.read_text()
    assert store.count() == before + 6000


def test_doctor_names_a_component_that_the_state_lacks(restarting_stack: RunningStack) -> None:
    """The state is without a component that waits to be started again while another one was restarted."""
    stack, state = restarting_stack, restarting_stack.state
    components = {name: component for name, component in state.components.items() if name != "api1"}
    stack.directory.write_state(state._replace(components=components))
    try:
        output = stack.rinha("doctor").stdout
    finally:
        stack.directory.write_state(state)

    assert re.search(r"FAILED +components +not running: api1\n", output), output


@pytest.mark.long
def test_the_audit_of_a_load_waits_for_mysql(restarting_stack: RunningStack) -> None:
    stack = restarting_stack
    wait_for_mysql(stack.directory)
    host = HostStack(stack.directory, 2, {})
    auditor = Auditor(host, stack.port, OFFICIAL, 1)
    count = PeopleStore(stack.config).count()

    kill(stack)
    assert auditor.audit(count, []).rows == count
    kill(stack)
    assert host.query("SELECT 1") == "1\n"
    assert host.consumption()["mysql"].memory > 0
