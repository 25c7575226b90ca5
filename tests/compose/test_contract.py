"""The contract's tests, sent to the containers."""

import inspect

import pytest

from tests.contract import test_contract
from tests.support.client import OverTheWire
from tests.support.compose import BuiltProject

pytestmark = pytest.mark.timeout(1500)  # the first test builds the image

# The other tests of the module need a stack of ./rinha up.
globals().update(
    {
        name: test
        for name, test in vars(test_contract).items()
        if name.startswith("test_") and "client" in inspect.signature(test).parameters
    }
)


@pytest.fixture(scope="session")
def client(containers: BuiltProject) -> OverTheWire:
    """Return a client of the published port, in place of the stack's."""
    return containers.wire
