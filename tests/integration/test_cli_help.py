"""Every command has help, and an invalid command line exits 2 before anything happens."""

import re
import sys
from pathlib import Path

import pytest

from ops.__main__ import main
from tests.support.polling import TIMEOUT
from tests.support.processes import make_program
from tests.support.stack import rinha

COMMANDS = {
    *["up", "down", "deploy", "bench", "status", "sql", "seed", "explain", "test", "create", "get", "search", "count"]
}


def exit_status(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Return the exit status of a command that ends in the parser, which runs in this process."""
    monkeypatch.setattr(sys, "argv", ["rinha", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_every_command_has_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(monkeypatch, "--help") == 0
    listed = set(re.findall(r"^ {4}(\w+) ", capsys.readouterr().out, re.MULTILINE))
    assert listed >= COMMANDS

    for command in sorted(listed):
        assert exit_status(monkeypatch, command, "--help") == 0
        output, error = capsys.readouterr()
        assert output.startswith(f"usage: ./rinha {command} ")
        assert error == ""


@pytest.mark.parametrize("arguments", [[], ["fly"], ["create", "nick"], ["get"], ["status", "--yaml"]])
def test_an_invalid_command_line_exits_2_with_the_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert exit_status(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err.startswith("usage: ./rinha")


@pytest.mark.parametrize(
    "arguments", [["tests/unit", "-x"], ["-k", "two words", "tests/unit"], ["--co"], ["--all"], []], ids=" ".join
)
def test_test_passes_every_argument_to_tox(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str]
) -> None:
    monkeypatch.setattr("ops.commands.test.download_servers", lambda: None)
    make_program(tmp_path / "tox", "exit 1")
    make_program(tmp_path / "python", 'printf "%s\\n" "$@"; exit 5')
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "argv", ["rinha", "test", *arguments])

    assert main() == 5, "the exit status of tox is not returned"
    command = ["-P", "-m", "tox", "run", "-e", "tests", "--"]
    assert capfd.readouterr().out.split("\n") == [*command, *arguments, ""]


@pytest.mark.parametrize(
    "option", [("--port", "0"), ("--port", "65536"), ("--port", "http"), ("--instances", "0"), ("--workers", "65")]
)
def test_up_refuses_invalid_options_and_creates_nothing(tmp_path: Path, option: tuple[str, str]) -> None:
    completed = rinha("up", "--data", str(tmp_path / "data"), *option, timeout=TIMEOUT)

    assert completed.returncode == 2
    assert option[0] in completed.stderr.splitlines()[-1]
    assert not (tmp_path / "data").exists()
