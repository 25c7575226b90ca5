"""The scripts of `completion` complete commands and options."""

import subprocess

import pytest

from ops.__main__ import command_modules
from ops.commands.completion import SHELLS
from tests.support.stack import rinha

COMPLETE = """
eval "$SCRIPT"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_shtab_rinha
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed_by_bash(script: str, *words: str) -> list[str]:
    """Return what bash offers for the last word of a command line."""
    command = ["bash", "--norc", "-c", COMPLETE, "bash", *words]
    completed = subprocess.run(command, env={"SCRIPT": script}, capture_output=True, text=True, check=True)
    return completed.stdout.split()


def test_bash_completes_commands_and_options() -> None:
    script = rinha("completion", "bash").stdout

    assert "complete -o bashdefault -F _shtab_rinha rinha" in script
    assert completed_by_bash(script, "./rinha", "sta") == ["status"]
    assert completed_by_bash(script, "./rinha", "top", "--in") == ["--interval"]
    assert completed_by_bash(script, "./rinha", "completion", "") == [*SHELLS]
    commands = {module.__name__.rpartition(".")[2] for module in command_modules()}
    assert commands <= set(completed_by_bash(script, "./rinha", ""))


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_has_every_command(shell: str) -> None:
    completed = rinha("completion", shell)

    assert completed.returncode == 0, completed.stderr
    for module in command_modules():
        assert module.__name__.rpartition(".")[2] in completed.stdout


def test_another_shell_is_refused() -> None:
    completed = rinha("completion", "csh")

    assert completed.returncode == 2
    assert "bash" in completed.stderr
