"""Every command of the documents works, and prints what the document shows.

All blocks run in one copy of this checkout, in the order of the documents. Before each document all people are deleted.
Before each block the stack is started, or stopped if the block starts it. Tests and benchmarks take minutes and do not
run, nor does a block that its document restricts (tests/support/documents.py).
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import ROOT
from ops.commands.options import PORT
from service.probe import is_serving
from tests.support.documents import DOCUMENTS, Block, blocks_of, match_output, steps_of
from tests.support.stack import free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

LONG = re.compile(r"(\./rinha (bench|test)|tox run)\b")
BLOCKS = [block for name, text in DOCUMENTS.items() for block in blocks_of(name, text) if "decisions" not in name]


class Checkout:
    """A copy of this checkout with another default port, which is free."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._port = str(free_port())
        self._document = ""
        self._ids: dict[str, str] = {}
        self._environment = _environment(path.parent)
        _copy_checkout(path)
        options = path / "ops/commands/options.py"
        options.write_text(options.read_text().replace(f"PORT = {PORT}\n", f"PORT = {self._port}\n"))

    def run(self, block: Block) -> None:
        """Run a block; fail if a command fails or prints something else."""
        if block.document != self._document:
            self._start_stack()
            self._execute('./rinha sql -e "DELETE FROM pessoas"')
            self._document, self._ids = block.document, {}
        if re.match(r"[^/]*\./rinha up", block.text):
            self.stop_stack()
        else:
            self._start_stack()
            self._wait_for_all_instances()
        for command, output in steps_of(block):
            printed = self._execute(re.sub("|".join(self._ids) or "$^", lambda found: self._ids[found[0]], command))
            if output is not None:
                ids = match_output(output.replace(str(PORT), self._port), printed, self._ids)
                assert ids is not None, f"the document shows:\n{output}\nthe command prints:\n{printed}"
                self._ids = ids

    def _execute(self, command: str) -> str:
        """Return the output of shell commands; fail if one fails."""
        command = re.sub(r"\./rinha up(?! --detach)", "./rinha up --detach", command).replace(str(PORT), self._port)
        completed = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self._path,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert completed.returncode == 0, f"exit status {completed.returncode}:\n{command}\n{completed.stdout}"
        return completed.stdout.replace("\r\n", "\n").rstrip()

    def _is_running(self) -> bool:
        return (self._path / f".rinha/{self._port}/state.json").exists()

    def _start_stack(self) -> None:
        if not self._is_running():
            self._execute("./rinha up --detach")

    def _wait_for_all_instances(self) -> None:
        """Wait until every instance is ready: `up` returns when the first one is."""
        run = self._path / f".rinha/{self._port}/run"
        deadline = time.monotonic() + 30
        while not all(is_serving(f"unix:{run}/{name}.1.sock") for name in ("api1", "api2")):
            assert time.monotonic() < deadline, "the instances do not become ready"
            time.sleep(0.05)

    def stop_stack(self) -> None:
        """Stop the stack if it runs."""
        if self._is_running():
            self._execute("./rinha down")


def _environment(curl_home: Path) -> dict[str, str]:
    """Return the environment of a user's shell, without tox. curl shows no progress."""
    (curl_home / ".curlrc").write_text("silent\n")
    path = [part for part in os.environ["PATH"].split(":") if part != str(Path(sys.executable).parent)]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**environment, "PATH": ":".join(path), "CURL_HOME": str(curl_home)}


def _copy_checkout(path: Path) -> None:
    """Clone this checkout, so that `git pull` works in the clone, and copy what is not committed yet."""
    subprocess.run(["git", "clone", "--quiet", ROOT, path], check=True)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    for name in listed.decode().split("\0")[:-1]:
        if (ROOT / name).exists():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
        else:
            (path / name).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    copy = Checkout(tmp_path_factory.mktemp("docs") / "rinha")
    yield copy
    copy.stop_stack()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}:{block.line}")
def test_the_commands_work(checkout: Checkout, block: Block) -> None:
    if block.mark == "not run":
        pytest.skip(block.reason)
    if long := LONG.search(block.text):
        pytest.skip(f"takes minutes: {long[0]}")
    if block.kind == "sh":
        assert "curl" not in block.text, "curl succeeds with any answer: show the answer, in a block of kind console"
    checkout.run(block)
