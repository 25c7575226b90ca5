"""The script `rinha` finds or makes the environment of the commands, and passes its arguments to them."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from ops import REQUIREMENTS, ROOT
from tests.support.commands import check_refused
from tests.support.polling import TIMEOUT
from tests.support.processes import make_program


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with the script alone."""
    for name in ("rinha", *REQUIREMENTS):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run_script(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a checkout."""
    return subprocess.run(
        [str(checkout / "rinha"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


@pytest.mark.parametrize(
    ("python", "missing"),
    [("exit 1", "Python 3.11"), ('case "$*" in *pip*) exit 1;; esac', "needs pip"), ("exit 0", "needs a C compiler")],
)
def test_the_script_says_what_the_machine_lacks(checkout: Path, python: str, missing: str) -> None:
    for name in ("cmp", "dirname", "env", "flock", "sed"):
        (checkout / "bin").mkdir(exist_ok=True)
        (checkout / "bin" / name).symlink_to(shutil.which(name) or "")
    stand_in = make_program(checkout / "python", python)

    completed = run_script(checkout, "up", PATH=str(checkout / "bin"), PYTHON=str(stand_in))

    check_refused(completed, missing, "install")
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("changed", REQUIREMENTS)
def test_new_requirements_that_cannot_be_installed_leave_the_old_ones_in_use(checkout: Path, changed: str) -> None:
    """A running stack may restart its components from .venv at any time."""
    (checkout / ".venv").mkdir()
    for name in REQUIREMENTS:
        shutil.copy(checkout / name, checkout / ".venv")
    (checkout / ".venv" / changed).write_text("older")
    python = '#!/bin/sh\necho "rinha: the packages cannot be installed" >&2; exit 1'
    make = (
        f'rm -rf "$5"; mkdir -p "$5/bin"; printf %s {shlex.quote(python)} > "$5/bin/python"; chmod +x "$5/bin/python"'
    )
    stand_in = make_program(checkout / "python", f'[ "$2" != venv ] || {{ {make}; }}')

    completed = run_script(checkout, "deploy", PYTHON=str(stand_in))

    assert completed.returncode == 1
    assert "the packages cannot be installed" in completed.stderr
    assert (checkout / ".venv" / changed).read_text() == "older"


def test_the_script_passes_every_argument_to_the_commands(checkout: Path) -> None:
    """It makes nothing if the requirements have not changed."""
    print_all = 'echo "$PYTHONPATH"; printf "%s\\n" "$@"'
    make_program(checkout / ".venv/bin/python", f'[ "$1" = -I ] || {{ {print_all}; }}')
    for name in REQUIREMENTS:
        shutil.copy(checkout / name, checkout / ".venv")

    completed = run_script(checkout, "create", "two words", "", "*", PYTHON="/nowhere/python")

    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.split("\n") == [str(checkout), "-P", "-m", "ops", "create", "two words", "", "*", ""]
