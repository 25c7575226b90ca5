"""A fault proxy between MySQL and the service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import PeopleStore
from tests.support.proxy import FaultProxy
from tests.support.stack import RunningStack

TIMEOUT = 0.5  # seconds that the service waits for a statement


@pytest.fixture
def proxy(stack: RunningStack, tmp_path: Path) -> Iterator[FaultProxy]:
    proxy = FaultProxy(tmp_path / "mysql.sock", stack.config.db_socket)
    yield proxy
    proxy.close()


@pytest.fixture
def db_timeout() -> float:
    """Return the seconds that the service behind the proxy waits for a statement."""
    return TIMEOUT


@pytest.fixture
def faulty_store(stack: RunningStack, proxy: FaultProxy, db_timeout: float) -> PeopleStore:
    """Return a store that reaches MySQL through the proxy, and has its connection."""
    store = PeopleStore(proxy.config(stack.config, db_timeout))
    store.check()
    return store
