"""Requests made from openapi.yaml, valid and not, and every answer compared with what it says.

In an environment of its own, `tox -e schemathesis`: it needs more packages than all other tests together.
"""

import re
import subprocess
import sys
from pathlib import Path

from ops import ROOT
from tests.support.stack import RunningStack

EXAMPLES = 100  # for each operation
# Nobody logs in here; and a valid person is refused when the nickname is taken, as it often is in such a run.
NOT_CHECKED = "ignored_auth,object_level_authorization,positive_data_acceptance"


def test_every_answer_is_as_openapi_yaml_says(stack: RunningStack, tmp_path: Path) -> None:
    """No 5xx, no undescribed status, header, type or schema; what is invalid is refused; links lead somewhere."""
    # Each run is another one. It prints its seed, and `--seed` repeats it.
    words = [
        *("run", str(ROOT / "openapi.yaml"), "--url", f"http://127.0.0.1:{stack.port}"),
        *("--exclude-path-regex", "^/health/"),  # not published
        *("--checks", "all", "--exclude-checks", NOT_CHECKED, "--max-examples", str(EXAMPLES)),
        *("--no-color", "--warnings", "off"),
    ]
    run = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *words],
        cwd=tmp_path,  # it leaves files behind
        capture_output=True,
        text=True,
    )

    print(run.stdout[run.stdout.find("== SUMMARY") :])
    assert run.returncode == 0, run.stdout + run.stderr
    generated, passed = map(int, re.findall(r"(\d+) generated, (\d+) passed", run.stdout)[0])
    assert generated == passed > 500
