"""A command whose standard output cannot be written ends as `cat` does there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.polling import TIMEOUT
from tests.support.stack import RunningStack, ops_environment

OUTPUTS = ("broken pipe", "full disk", "closed")
PRINTERS = (
    "--help", "up --help", 'count --url "$URL"', 'search --json --url "$URL" a', 'search --url "$URL" a',
    "status $STACK", "status --json $STACK", "doctor $STACK", "explain $STACK a",
)  # fmt: skip


@contextmanager
def output(kind: str) -> Iterator[dict[str, Any]]:
    """Yield the options of a process whose standard output cannot be written."""
    if kind == "closed":
        yield {"preexec_fn": lambda: os.close(1)}
        return
    if kind == "full disk":
        file = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, file = os.pipe()
        os.close(reader)
    try:
        yield {"stdout": file}
    finally:
        os.close(file)


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("command", PRINTERS)
def test_a_command_whose_output_fails_ends_as_cat_does(stack: RunningStack, command: str, kind: str) -> None:
    """Quietly by SIGPIPE if the reader has ended, otherwise with a line that names standard output."""
    shell: dict[str, Any] = {
        "env": environment(stack), "stderr": subprocess.PIPE, "text": True, "timeout": TIMEOUT,
    }  # fmt: skip
    with output(kind) as options:
        completed = subprocess.run(["bash", "-c", f"exec {sys.executable} -P -m ops {command}"], **shell, **options)
        cat = subprocess.run(["bash", "-c", "exec cat /etc/passwd"], **shell, **options)

    assert completed.returncode == cat.returncode, completed.stderr
    if kind == "broken pipe":
        assert completed.stderr == ""
    else:
        reason = "No space left on device" if kind == "full disk" else "Bad file descriptor"
        assert completed.stderr == f"rinha: standard output: {reason}\n"


def environment(stack: RunningStack) -> dict[str, str]:
    """Return the environment of a shell, with the options and the address of the stack."""
    return {**ops_environment(), "URL": f"http://localhost:{stack.port}", "STACK": " ".join(stack.options)}
