"""The containers of compose.yaml, built and started for the tests of this directory and removed after them."""

import secrets
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import pytest

from bench.compose_project import BUILD_TIMEOUT, ComposeProject, find_engine, run_command
from ops.errors import OperatorError
from tests.support.client import OverTheWire
from tests.support.stack import free_port

BASE_IMAGES = (
    "docker.io/library/python:3.13-slim",
    "docker.io/library/nginx:1.28",
    "docker.io/library/mysql:9.7",
)


def _missing_image(client: str) -> str:
    missing = [image for image in BASE_IMAGES if run_command(client, "image", "inspect", image).returncode]
    return f"{client} has no image {', '.join(missing)} (pull it first)" if missing else ""


@dataclass
class BuiltProject(ComposeProject):
    """The project of a test."""

    built: float = 0.0
    ready: float = 0.0

    @property
    def wire(self) -> OverTheWire:
        """A client of the published port."""
        return OverTheWire(self.port, timeout=15)


@pytest.fixture(scope="session")
def an_engine() -> tuple[str, list[str]]:
    """Return the client and the compose command of an engine that has the images; without one, skip the test."""
    try:
        return find_engine(_missing_image)
    except OperatorError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def containers(an_engine: tuple[str, list[str]]) -> Iterator[BuiltProject]:
    """The containers of compose.yaml, built and answering."""
    containers = BuiltProject(*an_engine, f"rinha-test-{secrets.token_hex(4)}", free_port())
    try:
        started = time.monotonic()
        containers.compose("build", timeout=BUILD_TIMEOUT)
        containers.built = time.monotonic() - started
        try:
            containers.ready = containers.start()
        except BaseException:
            print(containers.recent_logs())
            raise
        print(f"built in {containers.built:.1f} s, answered {containers.ready:.1f} s after the start")
        yield containers
    finally:
        containers.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the containers' logs with a test that failed."""
    report = yield
    containers = getattr(item, "funcargs", {}).get("containers")
    if report.failed and containers and report.when == "call":
        report.sections.append(("logs of the containers", containers.recent_logs()))
    return report
