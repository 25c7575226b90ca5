"""`top` shows what a stack does: as a board on a terminal, as lines of JSON elsewhere."""

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ops.stack.nginx import ACCESS_LOG
from service.person import OFFICIAL
from tests.support.people import create_person, new_nickname
from tests.support.polling import TIMEOUT, wait_until
from tests.support.stack import SMALL, RunningStack, ops_command, ops_environment, running_stack
from tests.support.terminal import TerminalCommand

TRUE_WITHIN = 1.0  # seconds, which docs/operations.md promises


class JSONTop:
    """`top` with its output in a pipe."""

    def __init__(self, stack: RunningStack, *options: str) -> None:
        self.process = subprocess.Popen(
            ops_command("top", *stack.options, *options),
            env=ops_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def next(self) -> dict[str, Any]:
        """Return the next line."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        document: dict[str, Any] = json.loads(line)
        return document


def has_open(pid: int, file: Path) -> bool:
    """Return whether a process has a file open."""
    return str(file) in [os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()]


def wait_for_log(stack: RunningStack) -> None:
    """Wait until nginx, which buffers lines, has written those of all earlier requests: `top` would count them."""
    identifier = stack.wire.request("GET", OFFICIAL.people_count).headers["x-request-id"]
    wait_until(lambda: identifier in (stack.directory.log / ACCESS_LOG).read_text())


@pytest.fixture
def top(stack: RunningStack) -> Iterator[JSONTop]:
    """Return a `top` that has begun to look."""
    wait_for_log(stack)
    one = JSONTop(stack)
    one.next()
    yield one
    one.process.kill()
    one.process.communicate(timeout=TIMEOUT)


@pytest.fixture
def board(stack: RunningStack) -> Iterator[TerminalCommand]:
    """Return a board that is drawn."""
    one = TerminalCommand("top", *stack.options)
    one.wait_for("q quit")
    yield one
    one.close()


def send_requests(stack: RunningStack, number: int) -> Counter[tuple[str, str]]:
    """Send requests of each kind; return how many of which status were answered."""
    person = create_person(stack.wire).json()
    sent = [("creations", "2xx")]

    def send(index: int) -> list[tuple[str, str]]:
        nickname = person["apelido"] if index % 3 == 0 else new_nickname()
        answers = {
            "creations": create_person(stack.wire, apelido=nickname),
            "searches": stack.wire.request("GET", f"{OFFICIAL.people}?t=ana" if index % 5 else OFFICIAL.people),
            "reads": stack.wire.request("GET", f"{OFFICIAL.people}/{person['id'] if index % 7 else 'maria'}"),
            "counts": stack.wire.request("GET", OFFICIAL.people_count),
            "others": stack.wire.request("DELETE", OFFICIAL.people),
        }
        return [(kind, f"{answer.status // 100}xx") for kind, answer in answers.items()]

    with ThreadPoolExecutor(4) as pool:
        for answered in pool.map(send, range(number)):
            sent += answered
    return Counter(sent)


def counted(document: dict[str, Any]) -> Counter[tuple[str, str]]:
    """Return how many requests of which kind and status a line of `top` has."""
    return Counter(
        {
            (kind, status): number
            for kind, numbers in document["requests"].items()
            for status, number in numbers["statuses"].items()
        }
    )


def test_the_numbers_are_those_of_the_client(stack: RunningStack, top: JSONTop) -> None:
    before = int(stack.wire.request("GET", OFFICIAL.people_count).body)
    wait_until(lambda: counted(top.next()) == Counter({("counts", "2xx"): 1}))
    sent = send_requests(stack, 60)

    expected = sent + Counter({("counts", "2xx"): 1})
    document: dict[str, Any] = {}

    def is_complete() -> bool:
        document.update(top.next())
        people = document["database"]["people"]
        return counted(document) == expected and people == before + sent["creations", "2xx"]

    wait_until(is_complete, 5, describe=lambda: (document, expected))
    assert document["database"]["silent_seconds"] == 0.0
    for kind, numbers in document["requests"].items():
        assert numbers["total"] == sum(numbers["statuses"].values()), kind
        times = numbers["times"]
        assert 0 <= times["p50"] <= times["p95"] <= times["p99"] <= times["max"] < 60_000, kind


@pytest.mark.alone
def test_what_happened_is_shown_within_a_second(stack: RunningStack, top: JSONTop) -> None:
    """In the worst of several tries, because nginx writes at intervals and `top` looks at intervals."""
    waited = []
    for total in range(1, 6):
        time.sleep(0.1 * total)
        create_person(stack.wire)
        answered = time.monotonic()
        people = int(stack.wire.request("GET", OFFICIAL.people_count).body)
        while (document := top.next()) and (
            document["requests"]["creations"]["total"] < total or document["database"]["people"] < people
        ):
            pass
        waited.append(time.monotonic() - answered)

    assert max(waited) < TRUE_WITHIN, waited


@pytest.mark.long
@pytest.mark.alone
def test_top_sleeps_between_its_looks(stack: RunningStack, board: TerminalCommand) -> None:
    """A board that never sleeps would take a whole CPU. docs/operations.md has the measured share."""

    def cpu_seconds() -> float:
        board.output()
        with open(f"/proc/{board.process.pid}/stat") as file:
            fields = file.read().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    board.wait_for("q quit")
    before, started = cpu_seconds(), time.monotonic()
    send_requests(stack, 40)
    while time.monotonic() < started + 10:
        time.sleep(0.5)
        board.output()

    assert (cpu_seconds() - before) / (time.monotonic() - started) < 0.1


def test_no_request_is_lost_or_doubled_while_the_logs_are_rotated(tmp_path: Path) -> None:
    """Neither by `top` nor by `logs --follow`."""
    number, shown = 0, tmp_path / "shown"
    with running_stack(tmp_path / "stack", *SMALL, "--log-limit", "1") as stack, shown.open("w") as output:
        wait_for_log(stack)
        top = JSONTop(stack)
        follow = ops_command("logs", "--follow", *stack.options)
        follower = subprocess.Popen(follow, env=ops_environment(), stdout=output)
        try:
            top.next()
            log = stack.directory.log / ACCESS_LOG
            wait_until(lambda: has_open(follower.pid, log))
            deadline = time.monotonic() + TIMEOUT
            while number < 1500 or not log.with_name(f"{log.name}.2").exists():  # there were two rotations
                assert stack.wire.request("GET", OFFICIAL.people_count).status == 200
                assert time.monotonic() < deadline
                number += 1

            wait_until(lambda: counted(top.next())["counts", "2xx"] >= number, 10)
            assert counted(top.next())["counts", "2xx"] == number
            wait_until(lambda: len(shown.read_text().splitlines()) >= number, 10)
            assert len(set(shown.read_text().splitlines())) == number, "each line has the id of its request"
        finally:
            for process in (top.process, follower):
                process.kill()
                process.communicate()


def test_components_have_their_processes_and_resources(stack: RunningStack, top: JSONTop) -> None:
    send_requests(stack, 20)
    components = top.next()["components"]

    assert {name: component["pid"] for name, component in components.items()} == {
        name: component.pid for name, component in stack.state.components.items()
    }
    assert [components[name]["processes"] for name in ("mysql", "api1", "api2", "nginx")] == [1, 5, 5, 2]
    for component in components.values():
        assert component["alive"]
        assert (component["cpu_limit"], component["memory_limit"], component["restarts"]) == (0, 0, 0)
        assert component["replaced"] == 0
    assert components["mysql"]["memory"] > 100 << 20
    assert 10 << 20 < components["api1"]["memory"] < 200 << 20


def test_top_ends_after_the_looks_that_were_asked_for(stack: RunningStack) -> None:
    completed = stack.rinha("top", "--looks", "2", "--interval", "0.1")

    assert completed.returncode == 0, completed.stderr
    assert [json.loads(line)["port"] for line in completed.stdout.splitlines()] == [stack.port] * 2


def test_top_ends_quietly_if_its_reader_ends(top: JSONTop) -> None:
    assert top.process.stdout
    assert top.process.stderr
    top.process.stdout.close()

    assert top.process.wait(TIMEOUT) == -signal.SIGPIPE
    assert top.process.stderr.read() == ""
    top.process.stdout = None


@pytest.mark.parametrize("interval", ["0", "-1", "x", "nan", "9999"])
def test_an_impossible_interval_is_refused(stack: RunningStack, interval: str) -> None:
    completed = stack.rinha("top", "--interval", interval)

    assert completed.returncode == 2
    assert "--interval" in completed.stderr


def test_the_board_is_drawn_again_and_again(stack: RunningStack, board: TerminalCommand) -> None:
    create_person(stack.wire)
    wait_until(lambda: any(re.match(r"creations +\S+ +1 ", line) for line in board.lines()), describe=board.output)

    assert any(re.match(r"mysql +runs", line) for line in board.lines())
    assert any(re.match(r"people [\d,]+  syncs of the index 0", line) for line in board.lines())
    assert board.has_colours() is False, "nothing is wrong"


def test_keys_sort_pause_and_quit(board: TerminalCommand) -> None:
    board.press("3")
    board.wait_for("sorted by p99")
    board.press("m")
    board.wait_for("sorted by memory")
    board.press("p")
    board.wait_for("paused, p continues")
    board.press("q")

    assert board.wait() == 0
    assert "\x1b[?1049l" in board.output(), "the screen from before is back"
    assert board.output().endswith(("\x1b[?25h", "\x1b[?25h\x1b[?1049l")), "the cursor is back"
    assert board.is_as_before()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_signal_leaves_the_terminal_as_it_was(board: TerminalCommand, number: signal.Signals, status: int) -> None:
    board.process.send_signal(number)

    assert board.wait() == status
    assert "\x1b[?1049l" in board.output()
    assert board.is_as_before()


def test_a_narrow_terminal_has_lines_that_fit(stack: RunningStack) -> None:
    board = TerminalCommand("top", *stack.options, "--looks", "2", columns=50)
    try:
        assert board.wait() == 0
        assert any(line.startswith("creations") for line in board.lines())
        assert max(map(len, board.lines())) <= 50
    finally:
        board.close()


@pytest.mark.parametrize(("variables", "has_colours"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_is_obeyed(stack: RunningStack, variables: dict[str, str], has_colours: bool) -> None:
    board = TerminalCommand("top", *stack.options, environment=variables)
    try:
        board.wait_for("q quit")
        assert stack.wire.request("GET", OFFICIAL.people).status == 400
        wait_until(lambda: any(re.match(r"searches +\S+ +0 +1 ", line) for line in board.lines()))
        assert board.has_colours() is has_colours
    finally:
        board.close()


def test_a_terminal_that_cannot_draw_gets_lines(stack: RunningStack) -> None:
    board = TerminalCommand("top", *stack.options, "--looks", "1", environment={"TERM": "dumb"})
    try:
        assert board.wait() == 0
        assert json.loads("".join(board.lines()))["running"]
    finally:
        board.close()
