"""A restart or a new version of the instances, one after the other, fails no request."""

import shutil
import time
from pathlib import Path

import pytest

from bench.compose_project import BUILD_TIMEOUT, SERVICES, wait_for
from ops import ROOT
from tests.support.compose import BuiltProject, ComposeClients

pytestmark = pytest.mark.timeout(1500)  # the first test builds the image


def test_restarting_the_instances_one_after_the_other_fails_no_request(containers: BuiltProject) -> None:
    before = containers.count()
    started = {service: containers.inspect(service)["State"]["StartedAt"] for service in ("api1", "api2")}

    with ComposeClients(containers) as clients:
        time.sleep(1)
        for service in started:
            # As `restart` does, except in Podman's Docker API, whose restart kills at once.
            containers.compose("stop", service)
            containers.compose("start", service)
            wait_for(lambda: containers.is_healthy(service), f"{service} serves")  # noqa: B023
        time.sleep(1)

    assert all(containers.inspect(service)["State"]["StartedAt"] != at for service, at in started.items())
    clients.check()
    assert containers.count() == before + clients.created


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return another checkout of this version."""
    shutil.copytree(ROOT, tmp_path / "checkout", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    shutil.copy(ROOT / ".dockerignore", tmp_path / "checkout")
    return tmp_path / "checkout"


def test_a_new_version_replaces_the_instances_one_after_the_other_and_fails_no_request(
    containers: BuiltProject, checkout: Path
) -> None:
    app = checkout / "service/app.py"
    code, mark = app.read_text(), "# the new version"
    before = containers.count()
    old = {service: containers.container(service) for service in SERVICES}

    app.write_text('raise ImportError("no such thing")\n')
    containers.compose("build", "api1", timeout=BUILD_TIMEOUT, root=checkout)

    with ComposeClients(containers) as clients:
        containers.replace("api1", checkout)
        wait_for(lambda: "no such thing" in containers.logs("api1"), "the bad version does not start")
        assert not containers.is_healthy("api1")
        assert containers.container("api2") == old["api2"]

        app.write_text(code.replace("OPENAPI.read_bytes()", f"OPENAPI.read_bytes() + {mark.encode()!r}"))
        containers.compose("build", "api1", timeout=BUILD_TIMEOUT, root=checkout)
        for service in ("api1", "api2"):
            containers.replace(service, checkout)
            wait_for(lambda: containers.is_healthy(service), f"{service} serves")  # noqa: B023
        time.sleep(1)

    clients.check()
    assert containers.count() == before + clients.created
    assert {containers.wire.request("GET", "/openapi.yaml").body[-len(mark) :] for _ in range(40)} == {mark.encode()}
    assert {service for service in SERVICES if containers.container(service) != old[service]} == {"api1", "api2"}
