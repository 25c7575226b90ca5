"""A new version is put into what runs under load: no request fails, whether the version is good or not."""

import shutil
import time
from pathlib import Path

import pytest

from ops import ROOT
from tests.faults.test_kills import WORKERS, Site, running, until
from tests.support.client import OverTheWire
from tests.support.history import Load, Verdict, judge

pytestmark = pytest.mark.faults

MARK = b"# the new version"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout of its own, as old as ours."""
    shutil.copytree(ROOT, tmp_path / "checkout", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return tmp_path / "checkout"


def change(file: Path, found: str, replacement: str) -> str:
    """Change a file as a `git pull` would; return what it was."""
    text = file.read_text()
    assert found in text
    file.write_text(text.replace(found, replacement, 1))
    return text


def new(site: Site) -> int:
    """Return how many workers, of those of both instances, serve the new version."""
    clients = [OverTheWire(str(site.stack.data / f"run/{name}.{number}.sock")) for name, number in WORKERS]
    return sum(client.ask("GET", "/openapi.yaml").body.endswith(MARK) for client in clients)


def test_a_new_version_is_deployed_under_load_and_no_request_fails(
    checkout: Path, tmp_path: Path, tally: dict[str, list[Verdict]]
) -> None:
    app, main, nginx = checkout / "service/app.py", checkout / "service/__main__.py", checkout / "lb/nginx.conf"
    with running(tmp_path / "data", checkout) as site:
        site.await_service()
        began, parts = time.time(), site.state.components
        with Load(site.stack.port, 1, clients=4) as load:
            time.sleep(0.5)

            good = change(app, '"""The WSGI', 'raise ImportError("no such thing")\n"""The WSGI')
            refused = site.stack.rinha("deploy")
            assert (refused.returncode, site.state.components) == (1, parts)
            assert "nothing was restarted: ImportError: no such thing" in refused.stderr
            app.write_text(good)

            # What works beside the instances, and not in their place.
            good = change(
                main, "import argparse", 'import os; "trial" in os.environ["LISTEN"] or exit("no")\nimport argparse'
            )
            stopped = site.stack.rinha("deploy")
            assert stopped.returncode == 1
            assert "api1 does not serve with the new version, and api2 keeps the old version" in stopped.stderr
            assert site.state.components["api2"] == parts["api2"]
            main.write_text(good)

            change(app, "OPENAPI.read_bytes()", f"OPENAPI.read_bytes() + {MARK!r}")
            change(nginx, "server_tokens", "# changed\n    server_tokens")
            deployed = site.stack.rinha("deploy")
            assert deployed.returncode == 0, deployed.stderr
            assert "lb/nginx.conf changed too" in deployed.stdout
            assert new(site) == len(WORKERS)
            time.sleep(0.5)
        load.audit()

        verdict = judge(load.history, site.rows(began), may_fail=False)
        tally.setdefault("deploy a new version", []).append(verdict)
        assert (verdict.lost, verdict.doubled, verdict.untrue) == ([], [], [])
        assert verdict.acknowledged > 100, "there was no load"
        until(lambda: site.connections() <= len(WORKERS), 5)
        assert site.component("nginx") == parts["nginx"].pid
        assert site.component("mysql") == parts["mysql"].pid
