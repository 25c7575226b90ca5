"""A short run of the contest's load: its score and its audit count, its speed does not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.statistics import parse, summarise
from ops import ROOT
from ops.stack.budget import divide_budget
from ops.stack.data_directory import DataDirectory
from ops.system.cgroups import ControlGroups, available
from tests.support.stack import free_port, rinha

needs_java = pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("mvn")), reason="no JDK and Maven here: the contest's load is not played"
)


def play(data: Path, *words: str) -> dict[str, Any]:
    """Play a short load; return its result, in which everybody is stored and nothing failed."""
    short = ["--port", str(free_port()), "--data", str(data), "--scale", "0.1", "--duration", "20"]
    said = rinha("bench", *short, *words, timeout=500)

    assert said.returncode == 0, said.stdout + said.stderr
    (line,) = (data / "results.jsonl").read_text().splitlines()
    result: dict[str, Any] = json.loads(line)
    assert result["passed"]
    assert result["rows"] == result["maximum"] > 100
    (log,) = data.glob("*/gatling/*/simulation.log")
    kinds = summarise(parse(log.read_text(encoding="utf-8").splitlines()).requests)
    assert {kind: summary.ko for kind, summary in kinds.items()} == dict.fromkeys(kinds, 0)
    assert kinds["read"].count == result["rows"]
    (page,) = data.glob("*/report.html")
    assert "people stored" in page.read_text()
    return result


@needs_java
@pytest.mark.timeout(600)
@pytest.mark.parametrize("dialect", ["official", "english"])
def test_the_load_is_played_scored_and_audited(dialect: str, tmp_path: Path) -> None:
    limits = ["--cpus", "1.5", "--memory", "3072"] if available() else ["--unlimited"]

    result = play(tmp_path, "--workers", "2", "--dialect", dialect, *limits)

    assert result["limits"] == ({"CPU": 1.5, "MB": 3072} if available() else {})


@needs_java
@pytest.mark.timeout(600)
def test_a_run_that_is_interrupted_while_it_starts_leaves_nothing_running(tmp_path: Path) -> None:
    words = ["bench", "--port", str(free_port()), "--data", str(tmp_path), "--unlimited"]
    running = subprocess.Popen([sys.executable, "-P", "-m", "ops", *words], env={**os.environ, "PYTHONPATH": str(ROOT)})

    def stacks() -> list[DataDirectory]:
        return [DataDirectory(path) for path in tmp_path.glob("*/stack")]

    try:
        while running.poll() is None and not any(stack.is_locked() for stack in stacks()):
            time.sleep(0.05)
    finally:
        running.terminate()

    assert running.wait(60) == 128 + signal.SIGTERM
    assert [stack.is_locked() for stack in stacks()] == [False]


@pytest.mark.parametrize("option", ["--cpus=1", "--memory=0", "--workers=4", "--unlimited"])
def test_what_compose_yaml_says_is_no_option_beside_compose(option: str, tmp_path: Path) -> None:
    said = rinha("bench", "--compose", option, "--data", str(tmp_path))

    assert said.returncode == 1
    name = option.partition("=")[0]
    assert said.stderr == f"rinha: {name} does not go with --compose: compose.yaml has the limits and the workers\n"
    assert not list(tmp_path.iterdir())


def test_the_parts_of_a_budget_add_up_to_it() -> None:
    for instances in (1, 2, 3):
        limits = divide_budget(1.5, 3 << 30, instances).values()
        assert sum(limit.cpus for limit in limits) == pytest.approx(1.5)
        assert (3 << 30) - 10 < sum(limit.memory for limit in limits) <= 3 << 30


def test_without_permission_limits_are_refused_in_plain_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A result is never called limited when it was not."""
    from ops.system import cgroups as limits  # noqa: PLC0415

    (tmp_path / "cpu").write_text("not a directory, so no group can be made in it")
    monkeypatch.setattr(limits, "ROOT", tmp_path)

    with pytest.raises(limits.OperatorError, match="run as root, or use compose"):
        ControlGroups(1).make(divide_budget(1.5, 3 << 30, 2))
