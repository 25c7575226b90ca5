"""Stacks that some tests have for themselves."""

from collections.abc import Iterator

import pymysql
import pytest
from pymysql.cursors import Cursor

from service.store import PeopleStore
from tests.support.stack import RunningStack, started


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Return the stack for the tests of search: the oracle reads the whole table for each term."""
    with started(tmp_path_factory.mktemp("library")) as running:
        yield running


@pytest.fixture(scope="session")
def shelf(library: RunningStack) -> PeopleStore:
    return PeopleStore(library.config)


@pytest.fixture(scope="session")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Return a stack whose database tests change as an operator may: by any statement, and by kills."""
    with started(tmp_path_factory.mktemp("operated")) as running:
        yield running


@pytest.fixture(scope="module")
def root(library: RunningStack) -> Iterator[Cursor]:
    connection = pymysql.connect(
        unix_socket=library.config.db_socket, user="root", database="rinha", charset="utf8mb4", autocommit=True,
        ssl_disabled=True,
    )  # fmt: skip
    yield connection.cursor()
    connection.close()
