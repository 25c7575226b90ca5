"""The containers of compose.yaml: built and started for the tests of this directory, and removed after them."""

import secrets
import time
from collections.abc import Generator, Iterator

import pytest

from bench.compose_project import BUILD_TIMEOUT, ENGINES, Engine, find_engine
from ops.errors import OperatorError
from tests.support.compose import BuiltProject, missing_images
from tests.support.stack import free_port


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the engines which must be there."""
    parser.addoption(
        "--engine", action="append", choices=ENGINES, help="run on this engine only, and fail without it; repeatable"
    )


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which engines run the tests, and in which versions."""
    lines = []
    for client in config.getoption("engine") or ENGINES:
        try:
            lines.append(find_engine([client], missing_images).versions())
        except OperatorError as error:
            lines.append(f"{client}: {error}")
    return lines


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that needs an engine on every engine, or on those that the command line names."""
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", metafunc.config.getoption("engine") or ENGINES, indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return an engine that has the images; without it, skip the test unless the command line names the engine."""
    try:
        return find_engine([request.param], missing_images)
    except OperatorError as error:
        if request.config.getoption("engine"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def containers(engine: Engine) -> Iterator[BuiltProject]:
    """Yield the project, built and serving."""
    containers = BuiltProject(engine, f"rinha-test-{secrets.token_hex(4)}", free_port())
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
