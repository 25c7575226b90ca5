"""The containers of compose.yaml: built and started for the tests of this directory, and removed after them."""

import secrets
import time
from collections.abc import Generator, Iterator

import pytest

from bench.compose_project import BUILD_TIMEOUT, find_engine
from ops.errors import OperatorError
from tests.support.compose import BuiltProject, missing_images
from tests.support.stack import free_port


@pytest.fixture(scope="session")
def engine() -> tuple[str, list[str]]:
    """Return the client and the compose command of an engine that has the images; without one, skip the test."""
    try:
        return find_engine(missing_images)
    except OperatorError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def containers(engine: tuple[str, list[str]]) -> Iterator[BuiltProject]:
    """Yield the project, built and serving."""
    containers = BuiltProject(*engine, f"rinha-test-{secrets.token_hex(4)}", free_port())
    try:
        started = time.monotonic()
        containers.compose("build", timeout=BUILD_TIMEOUT)
        containers.build_seconds = time.monotonic() - started
        try:
            containers.start_seconds = containers.start()
        except BaseException:
            print(containers.recent_logs())
            raise
        print(f"built in {containers.build_seconds:.1f} s, served {containers.start_seconds:.1f} s after the start")
        yield containers
    finally:
        containers.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of the containers with a test that failed."""
    report = yield
    containers = getattr(item, "funcargs", {}).get("containers")
    if report.failed and containers and report.when == "call":
        report.sections.append(("logs of the containers", containers.recent_logs()))
    return report
