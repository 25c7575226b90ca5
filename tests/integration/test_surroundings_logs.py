"""Logs are rotated while the stack serves: no line is lost, no request is cut, and all files together have a bound.

Each situation is a row: a log, what is done, and the line that must then be in the new file of the log.
"""

import http.client
import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ops.system.processes import members
from tests.support.polling import wait_until
from tests.support.processes import processes_of
from tests.support.stack import RunningStack, running_stack

LIMIT = 4  # megabytes of all logs: a file of the access log has 419 KB
REQUESTS, CLIENTS = 6000, 4
NOISE = b"noise\n" * 100_000  # more than a log may have


class Situation(NamedTuple):
    """A log, what makes the stack write to it, and a pattern of the line."""

    log: str
    action: Callable[[RunningStack], object]
    line: str


def kill_worker(stack: RunningStack) -> None:
    group = stack.state.components["api1"].pid
    os.kill(max(members(group)), signal.SIGKILL)


def kill_instance(stack: RunningStack) -> None:
    os.kill(stack.state.components["api1"].pid, signal.SIGKILL)


def send_too_much(stack: RunningStack) -> None:
    assert stack.wire.request("POST", "/pessoas", b" " * 20_000).status == 413


def make_mysql_write(stack: RunningStack) -> None:
    stack.rinha("sql", "-e", "SET GLOBAL log_error_verbosity = 3; SET GLOBAL innodb_buffer_pool_size = 402653184")
    stack.rinha("sql", "-e", "SET GLOBAL innodb_buffer_pool_size = 268435456")


SITUATIONS = (
    Situation("nginx-access.log", lambda stack: stack.wire.request("GET", "/contagem-pessoas"), "/contagem-pessoas"),
    Situation("nginx-error.log", send_too_much, "client intended to send too large body"),
    Situation("api1.log", kill_worker, r"worker \d+ died"),
    Situation("mysql.log", make_mysql_write, "InnoDB"),
    Situation("up.log", kill_instance, r"api1 died \(signal 9\)"),
)


@pytest.fixture(scope="module")
def logging_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield a stack whose logs are small, and have whole URIs and lines about requests."""
    options = ("--instances", "1", "--workers", "2", "--log-limit", str(LIMIT), "--log-terms")
    with running_stack(tmp_path_factory.mktemp("logs"), *options) as stack:
        yield stack


def files_of(stack: RunningStack, log: str = "") -> list[Path]:
    return list((stack.data / "log").glob(f"{log}*"))


def total_size(stack: RunningStack) -> int:
    """Return the bytes of all logs; raise FileNotFoundError if one is removed meanwhile."""
    return sum(file.stat().st_size for file in files_of(stack))


def removed_but_open(stack: RunningStack) -> list[tuple[str, int]]:
    """Return the removed log files that the processes of the stack have open, with their sizes."""
    links = [link for pid in processes_of(stack.data) for link in Path(f"/proc/{pid}/fd").iterdir()]
    removed = [link for link in links if re.search(r"/log/.* \(deleted\)$", os.readlink(link))]
    return [(os.readlink(link), link.stat().st_size) for link in removed]


def test_every_request_under_load_is_in_the_access_log_once(logging_stack: RunningStack) -> None:
    stack = logging_stack
    wrong: list[object] = []

    def send(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
        for number in range(REQUESTS // CLIENTS):
            connection.request("GET", f"/pessoas/{client}.{number}")
            answer = connection.getresponse()
            if answer.status != 404 or not answer.read().endswith(b"}"):
                wrong.append(answer)
        connection.close()

    threads = [threading.Thread(target=send, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def logged() -> Counter[str]:
        lines = [line for file in files_of(stack, "nginx-access.log") for line in file.read_text().splitlines()]
        return Counter(re.sub("^/pessoas/", "", json.loads(line)["uri"]) for line in lines)

    sent = {f"{client}.{number}" for client in range(CLIENTS) for number in range(REQUESTS // CLIENTS)}
    assert not wrong
    wait_until(lambda: sent <= set(logged()), 10)
    assert {count for uri, count in logged().items() if uri in sent} == {1}
    assert len(files_of(stack, "nginx-access.log")) > 1, "no log was rotated"
    assert total_size(stack) <= LIMIT << 20


@pytest.mark.parametrize("removal", ["rotated", pytest.param("removed by hand", marks=pytest.mark.long)])
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.log)
def test_a_component_continues_in_a_new_file(logging_stack: RunningStack, situation: Situation, removal: str) -> None:
    stack, log = logging_stack, logging_stack.data / "log" / situation.log
    wait_until(lambda: stack.wire.request("GET", "/contagem-pessoas").status == 200)
    old = log.stat()
    if removal == "rotated":
        with log.open("ab") as output:
            output.write(NOISE)
    else:
        log.unlink()
    if situation.log == "api1.log":  # an instance opens its log again when it writes to it
        wait_until(lambda: not log.exists())
    else:
        wait_until(lambda: log.exists() and not os.path.samestat(log.stat(), old))
    if situation.log == "up.log":  # the disk reserve may have been the first to open it
        wait_until(lambda: os.path.samefile(log, f"/proc/{stack.state.pid}/fd/1"))

    situation.action(stack)

    wait_until(lambda: log.exists() and re.search(situation.line, log.read_text()), 20, lambda: files_of(stack))
    wait_until(lambda: stack.wire.request("GET", "/contagem-pessoas").status == 200)


def test_all_logs_together_have_a_bound_and_no_removed_file_holds_disk(logging_stack: RunningStack) -> None:
    stack = logging_stack
    for _ in range(8):
        for log in (stack.data / "log").glob("*.log"):
            with log.open("ab") as output:
                output.write(NOISE)
        wait_until(lambda: not [log for log in (stack.data / "log").glob("*.log") if is_full(log)])

    wait_until(lambda: total_size(stack) <= LIMIT << 20, 10, lambda: str(files_of(stack)), (FileNotFoundError,))
    assert not [one for one in removed_but_open(stack) if one[1]]


def is_full(log: Path) -> bool:
    return log.exists() and log.stat().st_size >= len(NOISE)
