"""The operator's commands: what they print, what they refuse, and what `up` keeps running whatever is killed."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ops import ROOT
from ops.__main__ import main
from ops.stack.data_directory import DataDirectory
from ops.system.processes import members
from tests.support.client import post
from tests.support.people import nickname
from tests.support.stack import RunningStack, free_port, rinha

LONG = 60.0  # seconds that only a failing test waits
SMALL = ("--instances", "1", "--workers", "1")
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
COMMANDS = {
    "up",
    "down",
    "deploy",
    "bench",
    "status",
    "sql",
    "seed",
    "explain",
    "test",
    "create",
    "get",
    "search",
    "count",
}


def soon(condition: Callable[[], object], seconds: float) -> bool:
    """Tell whether `condition` is true, or becomes so within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def until(condition: Callable[[], object], seconds: float = LONG, say: Callable[[], object] = str) -> None:
    """Return as soon as `condition` is true; fail after `seconds`, with what `say` says."""
    assert soon(condition, seconds), say()


def holders(directory: Path) -> dict[int, str]:
    """Return the processes that name `directory` in their command or have a file of it open, and their commands."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            opened = [os.readlink(link) for link in (process / "fd").iterdir()]
        except OSError:
            continue  # it has ended meanwhile
        if os.fsencode(directory) in command or any(name.startswith(f"{directory}/") for name in opened):
            found[int(process.name)] = command.replace(b"\0", b" ").decode()
    return found


def check_nobody_is_left(directory: Path) -> None:
    """Check that all who held `directory` have ended, but for the moment that the kernel needs to clear them away."""
    until(lambda: not holders(directory), seconds=5, say=lambda: f"left: {holders(directory)}")


def end_holders(directory: Path) -> None:
    """Kill whatever a failed test has left."""
    for pid in holders(directory):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def status(stack: RunningStack) -> dict[str, Any]:
    """Return what `status --json` prints."""
    said = stack.rinha("status", "--json")
    assert said.returncode == 0, said.stderr
    known: dict[str, Any] = json.loads(said.stdout)
    return known


def tool(path: Path, text: str) -> Path:
    """Make a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def check_refused(said: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that a command failed with plain words: one line on standard error, `words` in it, no traceback."""
    assert said.returncode == 1, said.stdout + said.stderr
    (line,) = said.stderr.splitlines()
    assert line.startswith("rinha: ")
    for word in words:
        assert word in line


# What every command prints, against the session's stack


@pytest.fixture
def url(stack: RunningStack) -> str:
    return f"http://localhost:{stack.port}"


def explained(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    """Return the exit status of a command that ends in its own explanation; run in this process, which is faster."""
    monkeypatch.setattr(sys, "argv", ["rinha", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_every_command_explains_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(monkeypatch, "--help") == 0
    listed = set(re.findall(r"^ {4}(\w+) ", capsys.readouterr().out, re.MULTILINE))
    assert listed >= COMMANDS

    for command in sorted(listed):
        assert explained(monkeypatch, command, "--help") == 0
        output, error = capsys.readouterr()
        assert output.startswith(f"usage: ./rinha {command} ")
        assert error == ""


@pytest.mark.parametrize("words", [[], ["fly"], ["create", "nick"], ["get"], ["status", "--yaml"]])
def test_what_is_no_command_exits_2_with_the_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert explained(monkeypatch, *words) == 2
    assert capsys.readouterr().err.startswith("usage: ./rinha")


@pytest.mark.parametrize("words", [["tests/unit", "-x"], ["-k", "two words", "tests/unit"], ["--co"], []], ids=" ".join)
def test_test_hands_every_word_to_pytest(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    tool(tmp_path / "tox", 'printf "%s\\n" "$@"; exit 5')
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "argv", ["rinha", "test", *words])

    assert main() == 5, "pytest's exit status is not passed on"
    assert capfd.readouterr().out.split("\n") == ["run", "-e", "tests", "--", *words, ""]


@pytest.mark.parametrize(
    "option", [("--port", "0"), ("--port", "65536"), ("--port", "http"), ("--instances", "0"), ("--workers", "65")]
)
def test_up_refuses_nonsense_before_anything_is_made(tmp_path: Path, option: tuple[str, str]) -> None:
    said = rinha("up", "--data", str(tmp_path / "data"), *option, timeout=LONG)

    assert said.returncode == 2
    assert option[0] in said.stderr.splitlines()[-1]
    assert not (tmp_path / "data").exists()


def test_status_as_json_tells_of_the_stack_and_its_parts(stack: RunningStack) -> None:
    post(stack.wire, "/pessoas", {"apelido": nickname(), "nome": "Ana", "nascimento": "2000-01-01"})

    known = status(stack)

    assert set(known) == {"port", "pid", "data", "ready", "uptime_seconds", "rows", "components"}
    assert (known["port"], known["data"], known["ready"]) == (stack.port, str(stack.data), True)
    assert known["rows"] == int(stack.wire.ask("GET", "/contagem-pessoas").body) > 0
    assert known["uptime_seconds"] >= 0
    assert known["pid"] in holders(stack.data)
    assert known["components"].pop("reserve")["processes"] >= 1  # it waits by a process of a second
    assert {name: component["processes"] for name, component in known["components"].items()} == {
        "mysql": 1,
        "api1": 5,
        "api2": 5,
        "nginx": 2,
    }
    for component in known["components"].values():
        assert set(component) == {"pid", "processes", "memory", "cpu"}
        assert component["pid"] in holders(stack.data)
        assert component["memory"] > 2**20
        assert component["cpu"] >= 0


def test_status_shows_a_table(stack: RunningStack) -> None:
    said = stack.rinha("status")
    first, _, *rows = said.stdout.splitlines()

    assert said.returncode == 0, said.stderr
    assert re.fullmatch(rf"http://localhost:{stack.port}  up \d+ s  [\d,]+ rows", first)
    assert [row.split()[0] for row in rows] == ["mysql", "reserve", "api1", "api2", "nginx"]
    assert all(re.fullmatch(r"\w+ +\d+ +\d+ +\d+ MB +\d+\.\d s", row) for row in rows)


def test_sql_runs_statements_on_the_database_of_the_stack(stack: RunningStack) -> None:
    nick = nickname()
    post(stack.wire, "/pessoas", {"apelido": nick, "nome": "José 😀", "nascimento": "2000-01-01"})
    statement = f"SELECT nome FROM pessoas WHERE apelido = '{nick}'"

    given, piped = stack.rinha("sql", "-e", statement), stack.rinha("sql", input=statement)

    assert (given.returncode, given.stdout) == (0, "nome\nJosé 😀\n")
    assert (piped.returncode, piped.stdout) == (0, "nome\nJosé 😀\n")


def test_sql_tells_of_a_wrong_statement(stack: RunningStack) -> None:
    said = stack.rinha("sql", "-e", "SELECT nonsense FROM pessoas")

    assert said.returncode == 1
    assert "Unknown column 'nonsense'" in said.stderr


def test_a_person_is_created_shown_found_and_counted(url: str) -> None:
    nick, before = nickname(), int(rinha("count", "--url", url).stdout)
    created = rinha("create", nick, "Ção Nuñes", "2000-02-29", "C#", "Node.js", "--url", url)
    assert created.returncode == 0, created.stderr
    assert re.fullmatch(rf"[-0-9a-f]{{36}}  {nick}  Ção Nuñes  2000-02-29  C#, Node\.js\n", created.stdout)
    identifier = created.stdout.split()[0]

    assert rinha("get", identifier, "--url", url).stdout == created.stdout
    assert rinha("search", nick[2:].upper(), "--url", url).stdout == created.stdout + "1 found\n"
    assert rinha("search", nickname(), "--url", url).stdout == "0 found\n"
    assert int(rinha("count", "--url", url + "/").stdout) == before + 1


def test_a_person_is_created_shown_found_and_counted_as_json(url: str) -> None:
    nick = nickname()
    created = rinha("create", nick, "Ção", "2000-02-29", "--url", url, "--json")
    assert created.returncode == 0, created.stderr
    person = json.loads(created.stdout)
    assert person == {
        "id": person["id"], "apelido": nick, "nome": "Ção", "nascimento": "2000-02-29", "stack": None,
    }  # fmt: skip

    assert json.loads(rinha("get", person["id"], "--url", url, "--json").stdout) == person
    assert json.loads(rinha("search", nick, "--url", url, "--json").stdout) == [person]
    assert json.loads(rinha("search", nickname(), "--url", url, "--json").stdout) == []
    assert json.loads(rinha("count", "--url", url, "--json").stdout) >= 1


def test_a_search_that_ends_at_fifty_says_so(stack: RunningStack, url: str) -> None:
    mark = nickname()
    for number in range(51):
        document = {"apelido": nickname(), "nome": f"{mark} {number}", "nascimento": "2000-01-01"}
        assert post(stack.wire, "/pessoas", document).status == 201

    lines = rinha("search", mark, "--url", url).stdout.splitlines()

    assert len(lines) == 51
    assert lines[-1] == "50 found, and there may be more"


def test_what_the_service_refuses_is_said_in_its_words(url: str) -> None:
    nick = nickname()
    rinha("create", nick, "Ana", "2000-01-01", "--url", url)

    check_refused(rinha("create", nick, "Ana", "2000-01-01", "--url", url), "422: apelido is taken")
    check_refused(rinha("create", nickname(), "Ana", "2001-02-29", "--url", url), "422: ", "nascimento")
    check_refused(rinha("create", nickname(), "Ana", "today", "--url", url), "400: ", "nascimento")
    check_refused(rinha("get", "nobody", "--url", url), "404: no person has this id")
    check_refused(rinha("search", "", "--url", url), "400: ")


def test_a_service_that_does_not_answer_is_told_with_the_way_out() -> None:
    address = f"http://localhost:{free_port()}"

    check_refused(rinha("count", "--url", address), address, "./rinha up starts it")


@pytest.mark.parametrize("address", ["nonsense", "http://localhost:http", "http://"])
def test_an_address_that_makes_no_sense_is_refused_in_plain_words(address: str) -> None:
    check_refused(rinha("count", "--url", address), address)


def test_somebody_else_on_the_port_is_told_in_plain_words() -> None:
    """Whatever speaks there, it is not the service: here what greets as OpenSSH does."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"http://127.0.0.1:{other.getsockname()[1]}"
        command = [sys.executable, "-m", "ops", "count", "--url", address]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as asking:
            other.settimeout(LONG)
            with other.accept()[0] as connection:
                connection.settimeout(LONG)
                connection.recv(9999)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            output, error = asking.communicate(timeout=LONG)

    check_refused(subprocess.CompletedProcess(command, asking.returncode, output, error), address)


# What they refuse


@pytest.mark.parametrize(
    "command", [["status"], ["status", "--json"], ["down"], ["deploy"], ["sql", "-e", "SELECT 1"]], ids=" ".join
)
def test_without_a_stack_a_command_says_how_to_start_one(tmp_path: Path, command: list[str]) -> None:
    data = tmp_path / "data"

    check_refused(rinha(*command, "--data", str(data)), f"nothing is running on {data}", "./rinha up starts it")
    assert not data.exists()


def test_commands_do_not_take_a_killed_stack_for_a_running_one(tmp_path: Path) -> None:
    """While the next `up` clears up after a killed one, what is written down is still the killed one's."""
    data = DataDirectory(tmp_path)
    with subprocess.Popen(["true"]) as ended:
        ended.wait(LONG)
    (tmp_path / "state.json").write_text(
        json.dumps(
            {"pid": ended.pid, "port": 1, "since": 1.0, "ready": True, "instances": 2, "workers": 4, "components": {}}
        )
    )
    with data.locked():
        check_refused(rinha("down", "--data", str(tmp_path)), str(tmp_path))


LOOK = """
import pathlib, sys
from ops.stack.data_directory import DataDirectory
print("looking", flush=True)
while True:
    DataDirectory(pathlib.Path(sys.argv[1])).is_locked()
"""


def test_a_look_at_a_folder_does_not_keep_a_stack_from_taking_it(tmp_path: Path) -> None:
    """`status` in one terminal and `up` in another: here all the time, so that they meet."""
    data = DataDirectory(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LOOK, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as looking:
        try:
            assert looking.stdout
            assert looking.stdout.readline() == "looking\n"
            for _ in range(5_000):
                with data.locked():
                    pass
        finally:
            looking.kill()


@pytest.mark.parametrize("detach", [[], ["--detach"]], ids=["foreground", "detached"])
def test_a_port_that_is_taken_is_refused_and_another_one_named(tmp_path: Path, detach: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = rinha("up", *detach, "--port", str(port), "--data", str(tmp_path))

    assert said.returncode == 1
    (line,) = [line for line in (said.stdout + said.stderr).splitlines() if "is taken" in line]
    assert line.startswith(f"rinha: port {port} is taken")
    suggested = re.search(r"--port (\d+)", line)
    assert suggested
    assert int(suggested[1]) != port
    assert "Traceback" not in said.stdout + said.stderr
    check_nobody_is_left(tmp_path)


@pytest.mark.parametrize("detach", [[], ["--detach"]], ids=["foreground", "detached"])
def test_a_folder_that_is_taken_is_refused_and_goes_on(stack: RunningStack, detach: list[str]) -> None:
    before = status(stack)

    said = rinha("up", *detach, "--port", str(free_port()), "--data", str(stack.data))

    check_refused(said, f"a stack is running on {stack.data} already", "--port", "--data")
    after = status(stack)
    assert {name: component["pid"] for name, component in after["components"].items()} == {
        name: component["pid"] for name, component in before["components"].items()
    }
    assert stack.wire.ask("GET", "/contagem-pessoas").status == 200


def test_a_data_folder_that_cannot_be_made_is_refused_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    data = str(tmp_path / "file/data")

    check_refused(rinha("up", "--port", str(free_port()), "--data", data), data)
    check_refused(rinha("status", "--data", data), data)


def test_a_database_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    """Once its process has ended there is nothing to wait for."""
    (tmp_path / "mysql").mkdir()
    (tmp_path / "mysql/mysql.ibd").write_text("not a tablespace")
    try:
        said = rinha("up", "--port", str(free_port()), "--data", str(tmp_path), timeout=30)

        check_refused(said, str(tmp_path / "log/mysql.log"))
        check_nobody_is_left(tmp_path)
    finally:
        end_holders(tmp_path)


# A stack of this module's own, for what would disturb others


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Return where the stack is; its data lives on from test to test, whether or not it runs."""
    home = RunningStack(free_port(), tmp_path_factory.mktemp("own"))
    yield home
    home.rinha("down")
    end_holders(home.data)


def up(home: RunningStack, *words: str) -> None:
    """Start a stack in the background."""
    said = home.rinha("up", "--detach", *words)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.fixture
def own(home: RunningStack) -> RunningStack:
    """Return the stack, running."""
    if home.rinha("status").returncode:
        up(home)
    return home


@pytest.fixture
def stopped(home: RunningStack) -> RunningStack:
    """Return the stack, not running."""
    if home.rinha("status").returncode == 0:
        assert home.rinha("down").returncode == 0
    return home


class Foreground:
    """`up` without --detach, its output in a file, or on a terminal of its own."""

    def __init__(self, home: RunningStack, output: Path, terminal: bool = False) -> None:
        self.home = home
        self._output = output
        # -u would hide that a line waits in a buffer; a terminal is taken as its own by whoever leads the session.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        command = [sys.executable, "-m", "ops", "up", *SMALL, "--port", str(home.port), "--data", str(home.data)]
        if terminal:
            command = [sys.executable, "-c", TAKE_TERMINAL, *command]
        with output.open("wb") as file:
            self.keyboard, end = pty.openpty()
            self.process = subprocess.Popen(
                command,
                env={**environment, "PYTHONPATH": str(ROOT)},
                stdin=end,
                stdout=end if terminal else file,
                stderr=end if terminal else file,
                start_new_session=True,
            )
            os.close(end)
        os.set_blocking(self.keyboard, False)

    def said(self) -> str:
        """Return all that was printed so far."""
        try:
            while shown := os.read(self.keyboard, 9999):
                with self._output.open("ab") as file:
                    file.write(shown)
        except OSError:
            pass  # nothing more for now, or nobody is on the terminal any more
        return self._output.read_text()

    def ready(self) -> None:
        """Wait until it is."""

        def ready() -> bool:
            assert self.process.poll() is None, self.said()
            state = DataDirectory(self.home.data).last_state()
            return bool(state and state.pid == self.process.pid and state.ready)

        until(ready, say=self.said)

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self.keyboard)
        self.keyboard = -1

    def end(self) -> None:
        """Kill it, if it still runs."""
        if self.keyboard >= 0:
            self.hang_up()
        self.process.kill()
        self.process.wait(LONG)


@pytest.fixture
def foreground(stopped: RunningStack, tmp_path: Path) -> Iterator[Callable[..., Foreground]]:
    """Return how to start `up` without --detach; it is ended after the test."""
    started: list[Foreground] = []

    def start(terminal: bool = False) -> Foreground:
        started.append(Foreground(stopped, tmp_path / "said", terminal))
        return started[-1]

    yield start
    for one in started:
        one.end()
    until(lambda: not holders(stopped.data))


def remember(stack: RunningStack) -> Callable[[], bool]:
    """Store somebody; return how to tell whether the stack answers, from both instances, with all it has stored."""
    nick = nickname()
    created = post(
        stack.wire, "/pessoas", {"apelido": nick, "nome": "José", "nascimento": "2000-01-01", "stack": ["C#"]}
    )
    assert created.status == 201
    count = int(stack.wire.ask("GET", "/contagem-pessoas").body)

    def all_there() -> bool:
        try:
            answers = [
                stack.wire.ask("GET", path) for path in (created.headers["location"], f"/pessoas?t={nick[3:]}") * 4
            ]
            counted = stack.wire.ask("GET", "/contagem-pessoas")
        except OSError:
            return False
        if any(answer.status != 200 for answer in (*answers, counted)):
            return False
        assert [answer.json() for answer in answers] == [created.json(), [created.json()]] * 4
        assert int(counted.body) == count
        return True

    return all_there


def test_a_first_up_that_is_killed_leaves_nothing_that_prevents_the_next(home: RunningStack, tmp_path: Path) -> None:
    """While it initialises the database: the next one starts over, and nobody goes on in the background."""
    assert not (home.data / "mysql").exists(), "this must be the first test of the stack"
    first = Foreground(home, tmp_path / "said")
    try:
        until((home.data / "mysql/mysql.ibd").exists, say=first.said)
    finally:
        first.end()

    up(home)

    assert remember(home)()
    assert not [command for command in holders(home.data).values() if "--initialize" in command]


def test_data_survives_down_and_up(own: RunningStack) -> None:
    all_there = remember(own)

    said = own.rinha("down")

    assert (said.returncode, said.stdout) == (0, "rinha: stopped\n")
    check_nobody_is_left(own.data)
    check_refused(own.rinha("down"), "nothing is running")
    check_refused(own.rinha("status"), "nothing is running")
    up(own)
    assert all_there()


def test_two_stacks_run_side_by_side(own: RunningStack, stack: RunningStack) -> None:
    there = remember(stack)
    here = remember(own)

    assert there(), "what is stored in one is in the other"
    assert here()
    nick = nickname()
    for one in (own, stack):
        created = post(one.wire, "/pessoas", {"apelido": nick, "nome": "Ana", "nascimento": "2000-01-01"})
        assert created.status == 201


@pytest.mark.parametrize("component", ["mysql", "nginx", "api1", "a worker"])
def test_a_killed_part_is_started_again(own: RunningStack, component: str) -> None:
    """And within 20 s the service answers with all its data."""
    all_there = remember(own)
    before = status(own)
    if component == "a worker":
        group = before["components"]["api1"]["pid"]
        victim = next(pid for pid in members(group) if pid != group)
    else:
        victim = before["components"][component]["pid"]

    os.kill(victim, signal.SIGKILL)

    def restored() -> bool:
        now = status(own)
        pids = {pid for one in now["components"].values() for pid in members(one["pid"])}
        counts = [{name: one["processes"] for name, one in known["components"].items()} for known in (before, now)]
        return victim not in pids and counts[0] == counts[1] and all_there()

    until(restored, seconds=20, say=lambda: status(own))


def test_a_killed_up_leaves_nothing_that_prevents_the_next(own: RunningStack) -> None:
    """The next one may come at once: it waits for what the killed one has left, such as who holds the port."""
    all_there = remember(own)
    before = status(own)
    slow = before["components"]["nginx"]["pid"]
    command = [sys.executable, "-m", "ops", "up", "--port", str(own.port), "--data", str(own.data)]

    os.killpg(slow, signal.SIGSTOP)
    try:
        os.kill(before["pid"], signal.SIGKILL)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen([*command, "--detach"], env=environment, stdout=subprocess.DEVNULL) as following:
            gave_up = soon(lambda: following.poll() is not None, seconds=1)
            os.killpg(slow, signal.SIGCONT)
            assert following.wait(LONG) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(slow, signal.SIGCONT)

    assert not gave_up
    assert all_there()
    after = status(own)
    assert after["pid"] != before["pid"]
    for name, component in before["components"].items():
        assert not members(component["pid"]), f"{name} is left"


def test_a_data_folder_may_be_moved_to_a_very_long_path(stopped: RunningStack, tmp_path: Path) -> None:
    """Longer than the name of a socket may be."""
    check_moved(stopped, tmp_path / ("long" * 30) / ("longer" * 30))


def test_a_data_folder_may_be_moved_to_a_path_with_spaces(
    stopped: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And with other characters that mean something to shells or in nginx's configuration."""
    path = tmp_path_factory.mktemp("a ; $1 {b} 'c' \"d\" #e ç") / "data"
    assert not DataDirectory(path).run.is_relative_to(path), "nginx would take these signs for its own"
    check_moved(stopped, path)


def check_moved(stopped: RunningStack, path: Path) -> None:
    """Check that a stack works on `path`: it starts, answers, tells of itself, and stops."""
    if not (stopped.data / "mysql").exists():
        up(stopped)
        assert stopped.rinha("down").returncode == 0
    path.parent.mkdir(exist_ok=True)
    stopped.data.rename(path)
    moved = stopped._replace(data=path)
    try:
        up(moved, *SMALL)
        assert remember(moved)()
        assert status(moved)["data"] == str(path)
        assert moved.sql("SELECT 1 AS one") == [["1"]]
        assert moved.rinha("down").returncode == 0
        check_nobody_is_left(path)
    finally:
        end_holders(path)
        until(lambda: not holders(path))
        path.rename(stopped.data)
        if not DataDirectory(path).run.is_relative_to(path):
            shutil.rmtree(DataDirectory(path).run, ignore_errors=True)


def test_up_prints_the_address_and_sigterm_stops_all_it_has_started(
    stopped: RunningStack, foreground: Callable[..., Foreground]
) -> None:
    """Printed as soon as it listens; in a file or a pipe, a line that is not flushed waits in a buffer."""
    address = f"rinha: listening on http://localhost:{stopped.port}; "
    running = foreground()
    running.ready()
    printed = soon(lambda: address in running.said(), seconds=5)
    answer = stopped.wire.ask("GET", "/contagem-pessoas")

    running.process.terminate()

    assert running.process.wait(LONG) == 0, running.said()
    assert holders(stopped.data) == {}, "somebody outlives up"
    assert running.said().endswith("rinha: stopped\n")
    check_refused(stopped.rinha("status"), "nothing is running")
    assert answer.status == 200
    assert printed, "the address was not printed before the end"


def test_sigterm_while_it_starts_stops_up_and_all_it_has_started(
    stopped: RunningStack, foreground: Callable[..., Foreground]
) -> None:
    running = foreground()

    def mysql_starts() -> bool:
        state = DataDirectory(stopped.data).last_state()
        return bool(state and state.pid == running.process.pid and "mysql" in state.components)

    until(mysql_starts)
    running.process.terminate()

    assert running.process.wait(LONG) == 0, running.said()
    assert holders(stopped.data) == {}, "somebody outlives up"
    assert "listening" not in running.said()


def test_up_shows_a_live_line_on_a_terminal_where_ctrl_c_stops_it(foreground: Callable[..., Foreground]) -> None:
    """The terminal makes SIGINT of it, for whoever is in the foreground: that is `up` alone, which stops the rest."""
    running = foreground(terminal=True)
    running.ready()
    until(lambda: f"listening on http://localhost:{running.home.port}; " in running.said(), say=running.said)
    until(
        lambda: re.search(
            r"up \d+ s, mysql \d+ MB, reserve \d+ MB, api1 \d+ MB, nginx \d+ MB, 0 restarts", running.said()
        ),
        say=running.said,
    )

    state = DataDirectory(running.home.data).running()
    assert {os.getsid(component.pid) for component in state.components.values()}.isdisjoint({os.getsid(state.pid)}), (
        "Ctrl-C reaches a component, too"
    )
    os.write(running.keyboard, b"\x03")

    until(lambda: running.process.poll() is not None, say=running.said)
    assert running.process.returncode == 0, running.said()
    assert "rinha: stopped" in running.said()
    assert holders(running.home.data) == {}, "somebody outlives up"


def test_up_stops_in_good_order_when_its_terminal_is_closed(foreground: Callable[..., Foreground]) -> None:
    running = foreground(terminal=True)
    running.ready()

    running.hang_up()

    running.process.wait(LONG)
    assert holders(running.home.data) == {}, "somebody outlives up"
    assert DataDirectory(running.home.data).last_state() is None


def test_up_stops_in_good_order_when_nobody_reads_what_it_prints(stopped: RunningStack) -> None:
    """As after `./rinha up | head -1`, whose last line is not the last that is printed."""
    command = [sys.executable, "-m", "ops", "up", *SMALL, "--port", str(stopped.port), "--data", str(stopped.data)]
    running = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert running.stdout
        until(lambda: (state := DataDirectory(stopped.data).last_state()) and state.pid == running.pid and state.ready)
        running.stdout.close()

        running.terminate()

        running.wait(LONG)
        assert holders(stopped.data) == {}, "somebody outlives up"
        assert DataDirectory(stopped.data).last_state() is None
    finally:
        running.kill()
        running.wait(LONG)
        until(lambda: not holders(stopped.data))


# The script of the same name, which finds or makes what the commands run in


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with the script alone."""
    for name in ("rinha", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def script(checkout: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / "rinha"), *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LONG,
    )


@pytest.mark.parametrize(
    ("python", "missing"),
    [("exit 1", "Python 3.11"), ('case "$*" in *pip*) exit 1;; esac', "needs pip"), ("exit 0", "needs a C compiler")],
)
def test_the_script_says_what_the_machine_lacks(checkout: Path, python: str, missing: str) -> None:
    for name in ("cmp", "dirname"):
        (checkout / "bin").mkdir(exist_ok=True)
        (checkout / "bin" / name).symlink_to(shutil.which(name) or "")
    stand_in = tool(checkout / "python", python)

    said = script(checkout, "up", PATH=str(checkout / "bin"), PYTHON=str(stand_in))

    check_refused(said, missing, "install")
    assert not (checkout / ".venv").exists()


def test_new_requirements_that_cannot_be_installed_leave_those_in_use(checkout: Path) -> None:
    """A running stack restarts its parts from .venv at any time."""
    (checkout / ".venv").mkdir()
    (checkout / ".venv/requirements.txt").write_text("older")
    make = 'rm -rf "$5"; mkdir -p "$5/bin"; printf "#!/bin/sh\\nexit 1" > "$5/bin/python"; chmod +x "$5/bin/python"'
    stand_in = tool(checkout / "python", f'[ "$2" != venv ] || {{ {make}; }}')

    said = script(checkout, "deploy", PYTHON=str(stand_in))

    assert said.returncode == 1
    assert "the packages cannot be installed" in said.stderr
    assert (checkout / ".venv/requirements.txt").read_text() == "older"


def test_up_runs_its_own_code_wherever_it_is_called(stopped: RunningStack, tmp_path: Path) -> None:
    for name in ("ops", "service", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('somebody else')")

    said = stopped.rinha("up", "--detach", cwd=tmp_path)

    assert said.returncode == 0, said.stdout + said.stderr


def test_the_script_hands_every_word_to_the_commands(checkout: Path) -> None:
    """And makes nothing where the requirements have not changed."""
    tool(checkout / ".venv/bin/python", 'echo "$PYTHONPATH"; printf "%s\\n" "$@"')
    shutil.copy(checkout / "requirements.txt", checkout / ".venv")

    said = script(checkout, "create", "two words", "", "*", PYTHON="/nowhere/python")

    assert said.returncode == 0, said.stderr
    assert said.stdout.split("\n") == [str(checkout), "-P", "-m", "ops", "create", "two words", "", "*", ""]
