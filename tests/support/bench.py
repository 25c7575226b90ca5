"""Short runs of `./rinha bench`."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.statistics import parse, summarise
from tests.support.stack import free_port, rinha

needs_java = pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("mvn")), reason="no JDK and Maven here, which play the contest's load"
)


def run_bench(data: Path, *options: str) -> dict[str, Any]:
    """Play a short load; return its result, after a check that every person is stored and no request failed."""
    short = ["--port", str(free_port()), "--data", str(data), "--scale", "0.1", "--duration", "20"]
    completed = rinha("bench", *short, *options, timeout=500)

    assert completed.returncode == 0, completed.stdout + completed.stderr
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
