"""The containers are the same whatever the umask of the clone was."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.compose_project import BUILD_TIMEOUT, SERVICES, Engine
from ops import ROOT
from tests.support.compose import BuiltProject
from tests.support.stack import free_port

pytestmark = pytest.mark.timeout(1500)  # each test builds the images


@pytest.fixture(params=[0o000, 0o077], ids=["umask 000", "umask 077"])
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a checkout that was cloned with a umask."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".*", "__pycache__", "target"))
    shutil.copy(ROOT / ".dockerignore", root)
    for path in [root, *root.rglob("*")]:
        path.chmod((0o777 if path.is_dir() or path.stat().st_mode & 0o100 else 0o666) & ~request.param)
    return root


@pytest.fixture
def containers(engine: Engine, checkout: Path) -> Iterator[BuiltProject]:
    """Yield the project of that checkout, built and started."""
    project = BuiltProject(engine, f"rinha-test-{secrets.token_hex(4)}", free_port())
    try:
        project.compose("build", timeout=BUILD_TIMEOUT, root=checkout)
        project.compose("up", "--detach", timeout=180, root=checkout)
        yield project
    finally:
        project.remove()


def test_the_containers_serve_with_their_settings(containers: BuiltProject) -> None:
    containers.wait_until_serving()

    assert containers.query("SELECT @@ngram_token_size, @@innodb_ft_enable_stopword, @@offline_mode") == "3\t0\t0\n"
    containers.check_stored(containers.create())
    for service in SERVICES:
        assert containers.is_healthy(service), service
