"""A stack of its own for each test run: MySQL, two API instances and nginx, on a free port."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from service.app import create_app
from service.store import PeopleStore
from tests.support.client import InProcess, OverTheWire
from tests.support.stack import RunningStack, started


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=1, help="how often each fault is made (default: 1)")
    parser.addoption("--seed", type=int, default=secrets.randbelow(1_000_000), help="of the faults (default: any)")


def pytest_report_header(config: pytest.Config) -> str:
    return f"faults: --rounds {config.getoption('rounds')} --seed {config.getoption('seed')}"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with started(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def store(stack: RunningStack) -> PeopleStore:
    return PeopleStore(stack.config)


@pytest.fixture(scope="session")
def app(store: PeopleStore) -> Any:
    return create_app(store)


@pytest.fixture(scope="session", params=["in process", "over the wire"])
def client(request: pytest.FixtureRequest, stack: RunningStack, app: Any) -> InProcess | OverTheWire:
    return InProcess(app) if request.param == "in process" else stack.wire
