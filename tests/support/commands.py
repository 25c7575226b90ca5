"""The results of the operator's commands."""

import json
import subprocess
from typing import Any

from tests.support.stack import RunningStack


def check_refused(completed: subprocess.CompletedProcess[str], *texts: str) -> None:
    """Check that a command failed with one line on standard error that contains `texts`, and no traceback."""
    assert completed.returncode == 1, completed.stdout + completed.stderr
    (line,) = completed.stderr.splitlines()
    assert line.startswith("rinha: ")
    for text in texts:
        assert text in line


def status_of(stack: RunningStack) -> dict[str, Any]:
    """Return the output of `status --json`."""
    completed = stack.rinha("status", "--json")
    assert completed.returncode == 0, completed.stderr
    status: dict[str, Any] = json.loads(completed.stdout)
    return status


def findings_of(stack: RunningStack, *options: str) -> dict[str, dict[str, Any]]:
    """Return the findings of `doctor --json` by the name of the check."""
    completed = stack.rinha("doctor", "--json", *options)
    findings: dict[str, dict[str, Any]] = {finding["name"]: finding for finding in json.loads(completed.stdout)}
    assert completed.returncode == (0 if all(finding["ok"] for finding in findings.values()) else 1), completed.stderr
    return findings


def failed_checks(stack: RunningStack, *options: str) -> list[str]:
    """Return the names of the checks of `doctor` that fail."""
    return [name for name, finding in findings_of(stack, *options).items() if not finding["ok"]]
