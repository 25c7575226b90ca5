"""Commands while MySQL restarts or hangs: a command waits for MySQL, or says that MySQL does not answer.

Each situation is a row: the command, its exit statuses, and a pattern of what it prints.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
    """A command, its exit statuses, and a pattern of all that it prints."""

    command: str
    statuses: tuple[int, ...]
    seen: str


PROGRESS = r"(rinha: .*\n)*"
WAITING = r"rinha: waiting for MySQL\n"
LAST = r"rinha: MySQL does not answer: .*"
KILLED = (
    Situation("seed 1200", (0,), rf"{PROGRESS}rinha: (.* )?1,200 of 1,200 people.*\n"),
    Situation("doctor", (0,), rf"{PROGRESS}ok +components +running: mysql, reserve, api1, nginx\n((ok|rinha:) .*\n)+"),
    Situation("deploy", (0,), rf"{PROGRESS}rinha: the new version serves\n"),
    Situation("explain ana", (0,), rf"{PROGRESS}plan: (?s:.*)"),
    Situation("sql -e DO(0)", (0, 1), r"(ERROR 2002 .*\n)?"),
    Situation("status", (0,), r"http.*(MySQL does not answer|rows)\n(.*\n)+"),
)
STOPPED = (
    Situation("status", (0,), r"http.*  MySQL does not answer\n(.*\n)+"),
    Situation("doctor", (1,), rf"{WAITING}ok (.*\n)+FAILED +MySQL +MySQL does not answer: .*\n.*\n"),
    Situation("deploy", (1,), rf"{WAITING}{LAST}; nothing was restarted\n"),
    Situation("seed 9999", (1,), rf"{WAITING}{LAST}\n"),
    Situation("explain ana", (1,), rf"{WAITING}{LAST}\n"),
)


def send(stack: RunningStack, number: signal.Signals) -> None:
    """Send a signal to MySQL."""
    os.kill(stack.state.components["mysql"].pid, number)


@pytest.fixture(scope="module")
def restarting_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield a stack whose MySQL is killed and stopped."""
    with running_stack(tmp_path_factory.mktemp("restarts"), "--instances", "1", "--workers", "2") as stack:
        yield stack


def wait_for_stack(stack: RunningStack) -> None:
    """Wait until MySQL answers."""
    wait_until(lambda: "mysql" in stack.state.components)
    wait_for_mysql(stack.directory)


@contextmanager
def started(stack: RunningStack, command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command, whose output is one stream; end it with the context."""
    with subprocess.Popen(
        ops_command(*command.split(), *stack.options),
        env=ops_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def check(situation: Situation, process: subprocess.Popen[str]) -> None:
    output, _ = process.communicate(timeout=110)
    assert process.returncode in situation.statuses, output
    assert re.fullmatch(situation.seen, output), output


@pytest.mark.parametrize(
    "situation",
    [pytest.param(one, marks=[pytest.mark.long] * (place > 1), id=one.command) for place, one in enumerate(KILLED)],
)
def test_a_command_waits_for_a_mysql_that_was_killed_or_says_that_it_does_not_answer(
    restarting_stack: RunningStack, situation: Situation
) -> None:
    wait_for_stack(restarting_stack)
    send(restarting_stack, signal.SIGKILL)
    with started(restarting_stack, situation.command) as process:
        check(situation, process)


@pytest.mark.long
def test_no_command_waits_for_ever_for_a_mysql_that_hangs(restarting_stack: RunningStack) -> None:
    """The commands run at the same time, because some of them wait for a minute."""
    wait_for_stack(restarting_stack)
    send(restarting_stack, signal.SIGSTOP)
    try:
        with ExitStack() as contexts:
            running = [contexts.enter_context(started(restarting_stack, one.command)) for one in STOPPED]
            for situation, process in zip(STOPPED, running, strict=True):
                check(situation, process)
    finally:
        send(restarting_stack, signal.SIGCONT)


@pytest.mark.long
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
        send(stack, signal.SIGKILL)
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

    send(stack, signal.SIGKILL)
    assert auditor.audit(count, []).rows == count
    send(stack, signal.SIGKILL)
    assert host.query("SELECT 1") == "1\n"
    assert host.consumption()["mysql"].memory > 0
