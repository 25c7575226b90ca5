"""`deploy` replaces the code under load without a failed request, whether the new version is good or not."""

import shutil
import time
from pathlib import Path

import pytest

from ops import ROOT
from tests.support.fault_table import Tally
from tests.support.history import NO_VIOLATIONS, check_history
from tests.support.load import Load
from tests.support.observed_stack import WORKERS, ObservedStack, observed_stack

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.alone]

MARK = b"# the new version"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of this checkout."""
    shutil.copytree(ROOT, tmp_path / "checkout", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return tmp_path / "checkout"


def change(file: Path, old: str, new: str) -> str:
    """Change a file as a `git pull` does; return its old text."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return text


def new_workers(site: ObservedStack) -> int:
    """Return how many workers serve the new version."""
    return sum(client.request("GET", "/openapi.yaml").body.endswith(MARK) for client in site.worker_clients())


def test_a_new_version_is_deployed_under_load_and_no_request_fails(
    checkout: Path, tmp_path: Path, tally: Tally
) -> None:
    app, main, nginx = checkout / "service/app.py", checkout / "service/__main__.py", checkout / "lb/nginx.conf"
    with observed_stack(tmp_path / "data", checkout) as site:
        site.wait_for_service()
        began, components = time.time(), site.state.components
        with Load(site.stack.port, 1, clients=4) as load:
            time.sleep(0.5)

            good = change(app, '"""The WSGI', 'raise ImportError("no such thing")\n"""The WSGI')
            refused = site.stack.rinha("deploy")
            assert (refused.returncode, site.state.components) == (1, components)
            assert "nothing was restarted: ImportError: no such thing" in refused.stderr
            app.write_text(good)

            # This version works beside the instances, and does not start in their place.
            good = change(
                main, "import argparse", 'import os; "trial" in os.environ["LISTEN"] or exit("no")\nimport argparse'
            )
            stopped = site.stack.rinha("deploy")
            assert stopped.returncode == 1
            assert "api1 does not serve with the new version, and api2 keeps the old version" in stopped.stderr
            assert site.state.components["api2"] == components["api2"]
            main.write_text(good)

            change(app, "OPENAPI.read_bytes()", f"OPENAPI.read_bytes() + {MARK!r}")
            change(nginx, "server_tokens", "# changed\n    server_tokens")
            deployed = site.stack.rinha("deploy")
            assert deployed.returncode == 0, deployed.stderr
            assert "lb/nginx.conf changed too" in deployed.stdout
            assert new_workers(site) == len(WORKERS)
            time.sleep(0.5)
        load.audit()

        result = check_history(load.history, site.people(began), may_fail=False)
        tally("deploy a new version", result)
        assert result.violations == NO_VIOLATIONS
        assert result.acknowledged > 100, "there was no load"
        site.wait_for_quiet()
        assert site.component("nginx") == components["nginx"].pid
        assert site.component("mysql") == components["mysql"].pid
