"""The stacks and clients that test modules share; each worker of pytest-xdist has its own."""

import secrets
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from service.app import create_app
from service.store import PeopleStore
from tests.support.client import InProcess, OverTheWire
from tests.support.stack import RunningStack, running_stack

pytest_plugins = ["tests.support.selection", "tests.support.parallel", "tests.support.fault_table"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the fault tests."""
    parser.addoption("--rounds", type=int, default=1, help="how often each fault happens (default: 1)")
    parser.addoption("--seed", type=int, default=secrets.randbelow(1_000_000), help="of the faults (default: random)")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker of pytest-xdist the seed of the main process, so that all collect the same tests."""
    node.workerinput["seed"] = node.config.getoption("seed")


def pytest_configure(config: pytest.Config) -> None:
    """Take the seed of the main process; let Ctrl-C and a closed terminal end what the tests start.

    A process that a script has started in the background ignores these signals, and so do its children.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if hasattr(config, "workerinput"):
        config.option.seed = config.workerinput["seed"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield a stack to which tests only add people."""
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def store(stack: RunningStack) -> PeopleStore:
    """Return the store of the stack."""
    return PeopleStore(stack.config)


@pytest.fixture(scope="session")
def app(store: PeopleStore) -> Any:
    """Return the application on the stack's MySQL."""
    return create_app(store)


@pytest.fixture(scope="session", params=["in process", "over the wire"])
def client(request: pytest.FixtureRequest, stack: RunningStack, app: Any) -> InProcess | OverTheWire:
    """Return a client of the application in this process, and one of the stack's port."""
    return InProcess(app) if request.param == "in process" else stack.wire


@pytest.fixture(scope="session")
def search_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield the stack of the search tests, whose oracle reads the whole table."""
    with running_stack(tmp_path_factory.mktemp("search")) as stack:
        yield stack


@pytest.fixture(scope="session")
def search_store(search_stack: RunningStack) -> PeopleStore:
    """Return the store of the search tests."""
    return PeopleStore(search_stack.config)


@pytest.fixture(scope="session")
def operator_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield a stack whose database the tests change and kill as an operator may."""
    with running_stack(tmp_path_factory.mktemp("operator")) as stack:
        yield stack
