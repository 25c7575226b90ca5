"""The exit statuses are those of the table in docs/operations.md, which other tests see too."""

from pathlib import Path

import pytest

from tests.support.stack import RunningStack, rinha


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["completion", "bash"], 0),
        (["top", "--help"], 0),
        (["status"], 1),
        (["top"], 1),
        (["logs"], 1),
        ([], 2),
        (["nonsense"], 2),
        (["status", "--port", "0"], 2),
        (["search"], 2),
    ],
)
def test_a_command_says_by_its_status_what_happened(tmp_path: Path, arguments: list[str], status: int) -> None:
    data = ["--data", str(tmp_path)] if status == 1 else []
    completed = rinha(*arguments, *data)

    assert completed.returncode == status, completed.stderr
    assert bool(completed.stdout) is (status == 0)
    assert bool(completed.stderr) is (status != 0)


def test_sql_has_the_status_of_the_client(stack: RunningStack) -> None:
    assert stack.rinha("sql", "-e", "SELECT 1").returncode == 0
    assert stack.rinha("sql", "-e", "nonsense").returncode == 1
