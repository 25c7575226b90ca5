"""Without a stack, with a port or data directory in use, or without a database, a command fails in one line."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ops.stack.data_directory import DataDirectory
from tests.support.commands import check_refused, status_of
from tests.support.polling import TIMEOUT
from tests.support.processes import check_no_process_left, kill_processes_of
from tests.support.stack import RunningStack, free_port, ops_environment, rinha


@pytest.mark.parametrize(
    "command", [["status"], ["status", "--json"], ["down"], ["deploy"], ["sql", "-e", "SELECT 1"]], ids=" ".join
)
def test_without_a_stack_a_command_says_how_to_start_one(tmp_path: Path, command: list[str]) -> None:
    data = tmp_path / "data"

    check_refused(rinha(*command, "--data", str(data)), f"nothing is running on {data}", "./rinha up starts it")
    assert not data.exists()


def test_commands_do_not_take_a_killed_stack_for_a_running_one(tmp_path: Path) -> None:
    """While the next `up` removes the remains of a killed one, the state is still that of the killed one."""
    data = DataDirectory(tmp_path)
    with subprocess.Popen(["true"]) as ended:
        ended.wait(TIMEOUT)
    (tmp_path / "state.json").write_text(
        json.dumps(
            {"pid": ended.pid, "port": 1, "since": 1.0, "ready": True, "instances": 2, "workers": 4, "components": {}}
        )
    )
    with data.locked():
        check_refused(rinha("down", "--data", str(tmp_path)), str(tmp_path))


CHECK_LOCK = """
import pathlib, sys
from ops.stack.data_directory import DataDirectory
print("checking", flush=True)
while True:
    DataDirectory(pathlib.Path(sys.argv[1])).is_locked()
"""


def test_checking_the_lock_does_not_prevent_a_stack_from_taking_it(tmp_path: Path) -> None:
    """`status` checks the lock in one process, again and again, while another process takes it."""
    data = DataDirectory(tmp_path)
    command = [sys.executable, "-c", CHECK_LOCK, str(tmp_path)]
    with subprocess.Popen(command, env=ops_environment(), stdout=subprocess.PIPE, text=True) as checking:
        try:
            assert checking.stdout
            assert checking.stdout.readline() == "checking\n"
            for _ in range(5_000):
                with data.locked():
                    pass
        finally:
            checking.kill()


@pytest.mark.parametrize("detach", [[], ["--detach"]], ids=["foreground", "detached"])
def test_a_port_in_use_is_refused_and_a_free_one_suggested(tmp_path: Path, detach: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        completed = rinha("up", *detach, "--port", str(port), "--data", str(tmp_path))

    assert completed.returncode == 1
    (line,) = [line for line in (completed.stdout + completed.stderr).splitlines() if "is taken" in line]
    assert line.startswith(f"rinha: port {port} is taken")
    suggested = re.search(r"--port (\d+)", line)
    assert suggested
    assert int(suggested[1]) != port
    assert "Traceback" not in completed.stdout + completed.stderr
    check_no_process_left(tmp_path)


@pytest.mark.parametrize("detach", [[], ["--detach"]], ids=["foreground", "detached"])
def test_a_data_directory_in_use_is_refused_and_its_stack_keeps_running(stack: RunningStack, detach: list[str]) -> None:
    before = status_of(stack)

    completed = rinha("up", *detach, "--port", str(free_port()), "--data", str(stack.data))

    check_refused(completed, f"a stack is running on {stack.data} already", "--port", "--data")
    after = status_of(stack)
    assert {name: component["pid"] for name, component in after["components"].items()} == {
        name: component["pid"] for name, component in before["components"].items()
    }
    assert stack.wire.request("GET", "/contagem-pessoas").status == 200


def test_a_data_directory_that_cannot_be_created_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    data = str(tmp_path / "file/data")

    check_refused(rinha("up", "--port", str(free_port()), "--data", data), data)
    check_refused(rinha("status", "--data", data), data)


def test_a_database_that_does_not_start_is_reported_with_its_log(tmp_path: Path) -> None:
    """`up` does not wait for a process that has ended."""
    (tmp_path / "mysql").mkdir()
    (tmp_path / "mysql/mysql.ibd").write_text("not a tablespace")
    try:
        completed = rinha("up", "--port", str(free_port()), "--data", str(tmp_path), timeout=30)

        check_refused(completed, str(tmp_path / "log/mysql.log"))
        check_no_process_left(tmp_path)
    finally:
        kill_processes_of(tmp_path)
