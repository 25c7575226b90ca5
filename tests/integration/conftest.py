"""A stack for the tests of search: the oracle reads the whole table for each term, so nobody else may fill it."""

from collections.abc import Iterator

import pytest

from service.store import PeopleStore
from tests.conftest import RunningStack, started


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with started(tmp_path_factory.mktemp("library")) as running:
        yield running


@pytest.fixture(scope="session")
def shelf(library: RunningStack) -> PeopleStore:
    return PeopleStore(library.config)
