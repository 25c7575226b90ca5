"""A stack serves wherever its data directory lies, whatever TMPDIR is, and makes again what is removed meanwhile.

Each situation is a row: what is done to a running stack, or in which surroundings it starts, and what is seen.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from service.probe import is_serving
from tests.support.commands import status_of
from tests.support.people import remember_people
from tests.support.polling import TIMEOUT, wait_until
from tests.support.processes import check_no_process_left, kill_processes_of, processes_of
from tests.support.stack import (
    SMALL,
    RunningStack,
    free_port,
    new_database,
    ops_command,
    ops_environment,
    running_stack,
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


class Place(NamedTuple):
    """Where a data directory lies, and the TMPDIR of `up` and of the commands that follow."""

    name: str
    data: str
    temporary: str = "tmp"
    temporary_of_commands: str = "other"


PLACES = (
    Place("a short path", "data"),
    Place("a path longer than that of a socket", f"{'long' * 30}/{'longer' * 30}"),
    Place("a long TMPDIR", "a b", f"{'long' * 30}/{'longer' * 30}"),
    Place("a TMPDIR with a space", "a b", "t t", "t u"),
    Place("a TMPDIR that does not exist", "a b", "tmp/none", "tmp/none"),
    Place("quotes, brackets and a colon", "a ; $1 {b} 'c' \"d\" #e ç [f] g:h,i|j&k*l?m"),
    Place("a backslash and a line's end", "a\\b\nc"),
    Place("a dash", "-d"),
    Place("no TMPDIR", "a b", "", ""),
)


def names_below(directory: Path) -> list[str]:
    """Return the names of all files in a directory."""
    return [str(path.relative_to(directory)) for path in directory.rglob("*")]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_stack_serves_and_is_found_by_all_commands(tmp_path: Path, place: Place) -> None:
    """Nothing lies in a temporary directory, so neither another TMPDIR nor a cleaner of /tmp matters."""
    stack = RunningStack(free_port(), tmp_path / place.data)
    shutil.copytree(new_database(), stack.data)
    for name in ("tmp", "other", place.temporary.partition("/none")[0]):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    before, now = (
        {**ops_environment(), **({"TMPDIR": str(tmp_path / name)} if name else {})}
        for name in (place.temporary, place.temporary_of_commands)
    )
    options = ["--port", str(stack.port), f"--data={stack.data}"]

    def rinha(*arguments: str, environment: dict[str, str] = now) -> str:
        command = ops_command(*arguments, *options)
        completed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    try:
        rinha("up", "--detach", *SMALL, environment=before)
        are_served = remember_people(stack)
        assert "rows" in rinha("status")
        assert rinha("sql", "-e", "SELECT 1 AS one") == "one\n1\n"
        assert "found" in rinha("explain", "ana")
        assert "FAILED" not in rinha("doctor")
        rinha("deploy")
        os.kill(stack.state.components["nginx"].pid, 9)
        wait_until(are_served)
        for name in {"tmp", "other"} - {stack.data.name}:
            assert names_below(tmp_path / name) == []
        rinha("down")
        check_no_process_left(stack.data)
    finally:
        kill_processes_of(stack.data)
        wait_until(lambda: not processes_of(stack.data))
        shutil.rmtree(stack.data)  # 350 MB


class Removal(NamedTuple):
    """Files of a running stack that are removed, relative to the data directory, and the component that then dies."""

    removed: str
    killed: str = ""


REMOVALS = (
    Removal("run"),
    Removal("run/api1.1.sock"),
    Removal("run/mysql.sock"),
    Removal("run/proxy"),  # before nginx is killed, which then has a minute to make its files
    Removal("run/nginx", "nginx"),
    Removal("run/nginx.pid", "nginx"),
    Removal("log", "api1"),
    Removal("log", "mysql"),
    Removal("tmp", "mysql"),
    Removal("state.json"),
)


@pytest.fixture(scope="module")
def odd_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield a running stack whose processes reach its directory by an open file, because nginx would split the path."""
    with running_stack(tmp_path_factory.mktemp("removals") / "a b", *SMALL) as stack:
        yield stack


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: f"{removal.removed} {removal.killed}")
def test_a_running_stack_makes_again_what_is_removed(odd_stack: RunningStack, removal: Removal) -> None:
    are_served = remember_people(odd_stack)
    path = odd_stack.data / removal.removed
    components = odd_stack.state.components
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    if removal.killed:
        os.kill(components[removal.killed].pid, 9)

    # A component that has just started has a minute to make its files.
    wait_until(path.exists, timeout=120, describe=(odd_stack.data / "log/up.log").read_text)
    wait_until(lambda: are_served() and is_ready(odd_stack), describe=(odd_stack.data / "log/up.log").read_text)
    assert odd_stack.sql("SELECT 1 AS one") == [["1"]]


def is_ready(stack: RunningStack) -> bool:
    """Return whether the instance is ready."""
    return is_serving(f"unix:{stack.directory.run}/api1.1.sock")


def empty_state(stack: RunningStack) -> None:
    """Empty the state, as a power failure may."""
    (stack.data / "state.json").write_bytes(b"")


def spoil_state(stack: RunningStack) -> None:
    """Put another document in the place of the state."""
    (stack.data / "state.json").write_text('{"components": 1}')


@pytest.mark.parametrize("damage", [empty_state, spoil_state], ids=lambda damage: damage.__name__)
def test_a_damaged_state_is_written_again(
    running_cli_stack: RunningStack, damage: Callable[[RunningStack], None]
) -> None:
    before = status_of(running_cli_stack)

    damage(running_cli_stack)

    wait_until(lambda: running_cli_stack.rinha("status").returncode == 0, 10)
    assert status_of(running_cli_stack)["components"].keys() == before["components"].keys()


def test_a_damaged_state_of_a_stopped_stack_does_not_matter(stopped_cli_stack: RunningStack) -> None:
    empty_state(stopped_cli_stack)

    completed = stopped_cli_stack.rinha("status")
    stopped_cli_stack.up(*SMALL)

    assert re.fullmatch(r"rinha: nothing is running on .*\n", completed.stderr)


def test_a_stack_whose_data_directory_is_moved_stops_and_starts_where_it_is(tmp_path: Path) -> None:
    stack = RunningStack(free_port(), tmp_path / "data")
    shutil.copytree(new_database(), stack.data)
    stack.up(*SMALL)
    moved = stack._replace(data=tmp_path / "moved")
    try:
        are_served = remember_people(stack)

        stack.data.rename(moved.data)

        wait_until(lambda: "stopping" in (log := (moved.data / "log/up.log").read_text()) and "moved" in log)
        check_no_process_left(stack.data)
        moved.up(*SMALL)
        assert are_served()
        moved.down()
    finally:
        kill_processes_of(tmp_path)
        wait_until(lambda: not processes_of(tmp_path))


def test_first_starts_at_the_same_time_make_one_stack(tmp_path: Path) -> None:
    """One starts; the others say that a stack is running."""
    stack = RunningStack(free_port(), tmp_path / "data")
    command = ops_command("up", *SMALL, *stack.options)
    started = [
        subprocess.Popen(command, env=ops_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        wait_until(lambda: sum(one.poll() is not None for one in started) == 3)
        refused = [one for one in started if one.poll() is not None]
        for one in refused:
            assert one.returncode == 1
            assert one.stderr
            assert re.fullmatch(r"rinha: a stack is running on .* already; .*\n", one.stderr.read())
        wait_until(lambda: stack.rinha("status", "--json").returncode == 0 and status_of(stack)["ready"])
        assert remember_people(stack)()
        stack.down()
    finally:
        kill_processes_of(tmp_path)
        for one in started:
            one.communicate()


def test_up_runs_in_a_directory_that_is_removed(stopped_cli_stack: RunningStack, tmp_path: Path) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    completed = stopped_cli_stack.rinha("up", "--detach", *SMALL, cwd=directory)
    assert completed.returncode == 0, completed.stderr
    are_served = remember_people(stopped_cli_stack)
    directory.rmdir()
    os.kill(stopped_cli_stack.state.components["api1"].pid, 9)

    wait_until(are_served)
