"""Requests made from openapi.yaml, valid and invalid, get the answers that it describes.

`tox -e schemathesis` runs this test: it needs more packages than all other tests together.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ops import ROOT
from tests.support.stack import RunningStack

EXAMPLES = 100  # for each operation
# There is no login, and a valid person is refused if the nickname is taken, which is frequent in such a run.
NOT_CHECKED = "ignored_auth,object_level_authorization,positive_data_acceptance"


@pytest.mark.skipif(not importlib.util.find_spec("schemathesis"), reason="needs tox -e schemathesis")
def test_every_answer_is_as_openapi_yaml_says(stack: RunningStack, tmp_path: Path) -> None:
    """No answer is a 5xx or has an undescribed status, header, type or schema, and invalid requests are refused."""
    # Each run has other requests. It prints its seed, and `--seed` repeats it.
    arguments = [
        *("run", str(ROOT / "openapi.yaml"), "--url", f"http://127.0.0.1:{stack.port}"),
        *("--exclude-path-regex", "^/health/"),  # not published
        *("--checks", "all", "--exclude-checks", NOT_CHECKED, "--max-examples", str(EXAMPLES)),
        *("--no-color", "--warnings", "off"),
    ]
    run = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *arguments],
        cwd=tmp_path,  # for the files that it writes
        capture_output=True,
        text=True,
    )

    print(run.stdout[run.stdout.find("== SUMMARY") :])
    assert run.returncode == 0, run.stdout + run.stderr
    generated, passed = map(int, re.findall(r"(\d+) generated, (\d+) passed", run.stdout)[0])
    assert generated == passed > 500
