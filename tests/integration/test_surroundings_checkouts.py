"""The script `rinha` works wherever its checkout lies, however it is called, and whatever has become of `.venv`.

Each situation is a row: what the shell runs, the exit status, and a pattern of what is seen.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from ops import ROOT
from tests.support.polling import TIMEOUT
from tests.support.processes import make_program

MADE = "rinha: first use, new requirements or another Python: making .venv\n"
RUN = r"ran count in (?s:.*)\n"  # what the stand-in for the commands prints


class Situation(NamedTuple):
    """What a shell runs beside `checkout`, the exit status, and a pattern of what is seen in all."""

    name: str
    script: str
    seen: str = RUN
    status: int = 0


NAMES = ("two words", "it's", 'a "quote"', "-dash", "dollar $HOME", "back\\slash", "çé😀", "star*[a]?", "a;b&c|d", "#")
IN_CHECKOUT = r"ran count in \S+/checkout\n"
CALLS = (
    Situation("a link", 'ln -s "$PWD/checkout/rinha" link; ./link count', IN_CHECKOUT),
    Situation("a relative link", "mkdir bin; ln -s ../checkout/rinha bin; bin/rinha count", IN_CHECKOUT),
    Situation("a link to a link", 'ln -s checkout/rinha a; ln -s "$PWD/a" b; ./b count', IN_CHECKOUT),
    Situation("a link in PATH", 'ln -s "$PWD/checkout/rinha" r; PATH="$PWD:$PATH" r count', IN_CHECKOUT),
    Situation("a link to the directory", "ln -s checkout current; current/rinha count", r"ran count in \S+/current\n"),
    Situation("CDPATH", 'export CDPATH=".:$PWD:/"; sh checkout/rinha count', IN_CHECKOUT),
    Situation("its own directory", "cd checkout; sh rinha count", IN_CHECKOUT),
    Situation("a moved checkout", "mkdir -p a/b; mv checkout a/b; a/b/checkout/rinha count", IN_CHECKOUT),
    Situation("a copy of the file", "cp checkout/rinha .; ./rinha count", "rinha: .* is no checkout of rinha; .*\n", 1),
    Situation("a colon in the path", "mv checkout a:b; a:b/rinha count", "rinha: the path .* has a colon, .*\n", 1),
    Situation("no variables", 'env -i "$PWD/checkout/rinha" count'),
    Situation("no home", "env -u HOME checkout/rinha count"),
    Situation("a home that cannot be made", "HOME=/proc/home checkout/rinha count"),
    Situation("arguments", "checkout/rinha 'two words' '' '*' -- -x", r"ran two words\|\|\*\|--\|-x in .*\n"),
    Situation(
        "a directory that is gone",
        'rinha=$PWD/checkout/rinha; mkdir d; cd d; rmdir "$PWD"; "$rinha" count',
        f"(sh: .*getcwd.*\n)?{RUN}",
    ),
    *(Situation(f"the name {name}", f"mv checkout ./{shlex.quote(name)}; ./*/rinha count") for name in NAMES),
)
VENV = "checkout/.venv"
MADE_AGAIN = f"{MADE}{RUN}"
ENVIRONMENTS = (
    Situation("none", f"rm -r {VENV}", MADE_AGAIN),
    Situation("a Python that is gone", f"ln -sfn /nowhere/python {VENV}/bin/python", MADE_AGAIN),
    Situation("a Python that cannot start", f"ln -sfn /bin/false {VENV}/bin/python", MADE_AGAIN),
    Situation("another version of Python", f"mv {VENV}/lib/python* {VENV}/lib/python3.4", MADE_AGAIN),
    Situation("an interrupted first use", f"mv {VENV} {VENV}.new; rm -r {VENV}.new/lib", MADE_AGAIN),
    Situation("an interrupted exchange", f"mv {VENV} {VENV}.old", MADE_AGAIN),
    Situation("other requirements", "echo '# more' >> checkout/requirements.txt", MADE_AGAIN),
    Situation("a file in its place", f"rm -r {VENV}; touch {VENV}", MADE_AGAIN),
    Situation("a link to it", f'mv {VENV} v; ln -s "$PWD/v" {VENV}'),
    Situation("a moved checkout", "mv checkout other"),
    Situation("two words in the path", f"rm -r {VENV}; mv checkout 'a b'", MADE_AGAIN),
    Situation("quotes in the path", f"""rm -r {VENV}; mv checkout "it's \\"\\$x\\"" """, MADE_AGAIN),
    Situation("pip before 22.3", f'rm -r {VENV}; export PYTHON="$OLD_PIP"', MADE_AGAIN),
    Situation("a Python that is too old", f"rm -r {VENV}; export PYTHON=/bin/false", "rinha: needs Python 3.11.*\n", 1),
    Situation(
        "requirements that cannot be met",
        "echo 'none==1' >> checkout/requirements.txt",
        f"{MADE}(?s:.*)rinha: the packages cannot be installed .*\n",
        1,
    ),
)

COMMANDS = """
import os, sys
print("ran", "|".join(sys.argv[1:]), "in", os.environ["PYTHONPATH"])
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a checkout that needs no packages, its .venv, and a stand-in for the commands."""
    directory = tmp_path_factory.mktemp("prepared")
    checkout = directory / "checkout"
    shutil.copytree(ROOT / "ops", checkout / "ops", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "rinha", checkout)
    (checkout / "ops/__main__.py").write_text(COMMANDS)
    for name in ("requirements.txt", "requirements-ops.txt", "requirements-page.txt"):
        (checkout / name).write_text("# nothing\n")
    made = run(directory, "checkout/rinha count")
    assert made.returncode == 0, made.stdout
    return directory


@pytest.fixture
def directory(prepared: Path, tmp_path: Path) -> Path:
    """Return a copy of the directory, to be changed."""
    shutil.copytree(prepared, tmp_path / "d", symlinks=True)
    return tmp_path / "d"


def run(directory: Path, script: str) -> "subprocess.CompletedProcess[str]":
    """Run a script of the shell in a directory."""
    without_option = f'case "$*" in *--python*) exit 2 ;; esac; exec {sys.executable} "$@"'
    old_pip = make_program(directory.parent / "old-pip/python", without_option)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        env={**variables, "PYTHON": sys.executable, "OLD_PIP": str(old_pip)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )


def check(situation: Situation, directory: Path) -> None:
    """Check what is seen in a situation."""
    completed = run(directory, situation.script)

    seen = re.sub(r"(?m)^(WARNING|DEPRECATION|\[notice\]).*\n", "", completed.stdout)
    assert re.fullmatch(situation.seen, seen), seen
    assert completed.returncode == situation.status


@pytest.mark.parametrize("situation", CALLS, ids=lambda situation: situation.name)
def test_the_script_finds_its_checkout(directory: Path, situation: Situation) -> None:
    check(situation, directory)


@pytest.mark.long
@pytest.mark.parametrize("situation", ENVIRONMENTS, ids=lambda situation: situation.name)
def test_the_script_makes_its_environment_if_that_cannot_serve(directory: Path, situation: Situation) -> None:
    check(situation._replace(script=f"{situation.script}\n./*/rinha count"), directory)
    if situation.status == 0:
        check(Situation("the second use", "./*/rinha count"), directory)


@pytest.mark.long
def test_first_uses_at_the_same_time_make_one_environment(directory: Path) -> None:
    shutil.rmtree(directory / "checkout/.venv")
    with ThreadPoolExecutor(3) as pool:
        uses = list(pool.map(lambda _: run(directory, "checkout/rinha count"), range(3)))

    assert [use.returncode for use in uses] == [0, 0, 0], [use.stdout for use in uses]
    assert sum(use.stdout.count(MADE) for use in uses) == 1
