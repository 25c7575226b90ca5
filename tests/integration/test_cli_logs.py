"""`logs` joins the lines of nginx and of the instances, and shows those that are asked for."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Answer
from tests.support.commands import check_refused
from tests.support.people import create_person, new_nickname
from tests.support.polling import TIMEOUT, wait_until
from tests.support.stack import SMALL, RunningStack, ops_command, ops_environment, rinha, running_stack
from tests.support.terminal import TerminalCommand


def request_id(answer: Answer) -> str:
    return answer.headers["x-request-id"]


def shown(stack: RunningStack, *options: str) -> str:
    """Return the output of `logs`."""
    completed = stack.rinha("logs", *options)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def wait_for_log(stack: RunningStack, answer: Answer) -> None:
    """Wait until nginx has written the line of an answer."""
    log = stack.directory.log / "nginx-access.log"
    wait_until(lambda: request_id(answer).encode() in log.read_bytes())


@pytest.fixture
def held_up(operator_stack: RunningStack) -> Answer:
    """Return the 503 of a creation that waited too long for another transaction."""
    stack = operator_stack
    lock = "BEGIN; SELECT id FROM rinha.contagem FOR UPDATE; SELECT SLEEP(20)"
    with subprocess.Popen(ops_command("sql", *stack.options, "-e", lock), env=ops_environment()) as holder:
        try:
            wait_until(lambda: stack.sql("SELECT COUNT(*) FROM information_schema.innodb_trx") != [["0"]])
            answer = create_person(stack.wire)
        finally:
            holder.kill()
    assert answer.status == 503
    wait_for_log(stack, answer)
    stack.sql("SELECT CONCAT('KILL ', id) FROM information_schema.processlist WHERE info LIKE '%SLEEP(20)'")
    return answer


def test_a_failed_request_stands_with_the_reason_that_its_instance_logged(
    operator_stack: RunningStack, held_up: Answer
) -> None:
    lines = shown(operator_stack, "--errors").splitlines()

    (place,) = (index for index, line in enumerate(lines) if request_id(held_up) in line)
    assert re.fullmatch(r"\S+ \S+  503 +[\d,]+ ms  api[12]\.[1-4]  \w{32}  POST /pessoas", lines[place])
    assert re.fullmatch(r" {21}WARNING  api[12]  MySQL: \d+ \w.+", lines[place + 1])
    assert request_id(held_up) in shown(operator_stack, "--slow", "500")
    assert request_id(held_up) not in shown(operator_stack, "--slow", "60000")


@pytest.fixture
def stack_with_terms(tmp_path: Path) -> Iterator[RunningStack]:
    with running_stack(tmp_path, *SMALL, "--log-terms") as stack:
        yield stack


def test_terms_and_names_are_shown_only_if_they_are_asked_for(stack_with_terms: RunningStack) -> None:
    stack, term = stack_with_terms, new_nickname()
    search = stack.wire.request("GET", f"/pessoas?t={term}")
    read = stack.wire.request("GET", f"/pessoas/{term}")
    wait_for_log(stack, read)

    hidden, open_ = shown(stack), shown(stack, "--show-terms")

    assert term not in hidden
    assert f"{request_id(search)}  GET  /pessoas?t=***" in hidden
    assert f"{request_id(read)}  GET  /pessoas/***" in hidden
    assert f"{request_id(search)}  GET  /pessoas?t={term}" in open_
    assert f"{request_id(read)}  GET  /pessoas/{term}" in open_


def test_each_request_is_shown_once_in_the_order_of_time(stack: RunningStack) -> None:
    answers = [stack.wire.request("GET", "/contagem-pessoas") for _ in range(20)]
    wait_for_log(stack, answers[-1])

    lines = shown(stack).splitlines()

    ids = [request_id(answer) for answer in answers]
    assert [one for line in lines for one in ids if one in line] == ids
    times = [line[:19] for line in lines if line[:4].isdigit()]
    assert times == sorted(times)


@pytest.fixture
def follower(stack: RunningStack) -> Iterator["subprocess.Popen[str]"]:
    """Return `logs --follow`, which has begun to follow."""
    with subprocess.Popen(
        ops_command("logs", "--follow", *stack.options),
        env=ops_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        log = str(stack.directory.log / "nginx-access.log")
        files = Path(f"/proc/{process.pid}/fd")
        wait_until(lambda: log in [str(file.resolve()) for file in files.iterdir()], errors=(OSError,))
        yield process
        process.kill()


def next_lines(process: "subprocess.Popen[str]", number: int) -> list[str]:
    assert process.stdout
    return [process.stdout.readline() for _ in range(number)]


def test_new_requests_are_followed_until_the_reader_ends(
    stack: RunningStack, follower: "subprocess.Popen[str]"
) -> None:
    answers = [stack.wire.request("GET", "/contagem-pessoas") for _ in range(3)]

    for line, answer in zip(next_lines(follower, 3), answers, strict=True):
        assert request_id(answer) in line
    assert follower.stdout
    follower.stdout.close()
    wait_until(lambda: stack.wire.request("GET", "/contagem-pessoas") and follower.poll() is not None)
    assert follower.returncode == -signal.SIGPIPE
    follower.stdout = None


def test_ctrl_c_ends_the_following(follower: "subprocess.Popen[str]") -> None:
    follower.send_signal(signal.SIGINT)

    assert follower.wait(TIMEOUT) == 130
    assert follower.stderr
    assert follower.stderr.read() == ""


def test_the_rotated_files_are_read_too(stack: RunningStack, tmp_path: Path) -> None:
    answers = [stack.wire.request("GET", "/contagem-pessoas") for _ in range(3)]
    wait_for_log(stack, answers[-1])
    found = (stack.directory.log / "nginx-access.log").read_bytes().splitlines(keepends=True)
    (tmp_path / "log").mkdir()
    lines = [next(line for line in found if request_id(answer).encode() in line) for answer in answers]
    for name, line in zip(("nginx-access.log.10", "nginx-access.log.2", "nginx-access.log"), lines, strict=True):
        (tmp_path / "log" / name).write_bytes(line)

    completed = rinha("logs", "--data", str(tmp_path))

    ids = [line.split()[6] for line in completed.stdout.splitlines()]
    assert ids == [request_id(answer) for answer in answers], completed.stderr


def test_a_directory_without_logs_is_refused(tmp_path: Path) -> None:
    check_refused(rinha("logs", "--data", str(tmp_path)), str(tmp_path), "no stack has run there")


@pytest.mark.parametrize(
    ("variables", "has_colours"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_for_terminals_that_want_them(
    stack: RunningStack, variables: dict[str, str], has_colours: bool
) -> None:
    wait_for_log(stack, stack.wire.request("GET", "/pessoas"))
    command = TerminalCommand("logs", *stack.options, environment=variables)
    try:
        assert command.wait() == 0
        assert command.has_colours() is has_colours
    finally:
        command.close()
