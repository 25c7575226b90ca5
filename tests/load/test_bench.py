"""A short run of the contest's load: its score and its audit are checked, its speed is not."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from ops.stack.data_directory import DataDirectory
from ops.system.cgroups import available
from tests.support.bench import needs_java, run_bench
from tests.support.stack import free_port, ops_command, ops_environment, rinha


@needs_java
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("dialect", ["official", "english"])
def test_the_load_is_played_scored_and_audited(dialect: str, tmp_path: Path) -> None:
    limits = ["--cpus", "1.5", "--memory", "3072"] if available() else ["--unlimited"]

    result = run_bench(tmp_path, "--workers", "2", "--dialect", dialect, *limits)

    assert result["limits"] == ({"CPU": 1.5, "MB": 3072} if available() else {})


@needs_java
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_run_interrupted_during_its_start_leaves_no_process(tmp_path: Path) -> None:
    command = ops_command("bench", "--port", str(free_port()), "--data", str(tmp_path), "--unlimited")
    running = subprocess.Popen(command, env=ops_environment())

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
def test_an_option_that_compose_yaml_sets_is_refused_with_compose(option: str, tmp_path: Path) -> None:
    completed = rinha("bench", "--compose", option, "--data", str(tmp_path))

    assert completed.returncode == 1
    name = option.partition("=")[0]
    reason = "compose.yaml has the limits and the workers"
    assert completed.stderr == f"rinha: {name} does not go with --compose: {reason}\n"
    assert not list(tmp_path.iterdir())
