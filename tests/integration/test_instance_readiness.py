"""An instance is live without MySQL, and ready only with a MySQL that has its tables."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymysql.cursors import Cursor

from service.store import SCHEMA
from tests.support.contract import check_unavailable
from tests.support.instance import EACH, LISTENERS, TCP, Start, listen_setting, service_environment
from tests.support.mysql import root_cursor
from tests.support.people import create_person
from tests.support.polling import TIMEOUT, wait_until
from tests.support.stack import RunningStack


def test_an_instance_may_start_before_mysql(start: Start, stack: RunningStack, directory: Path) -> None:
    """It is live and not ready, and becomes ready once MySQL's socket exists."""
    database = directory / "mysql.sock"
    instance = start(DB_SOCKET=str(database))

    assert instance.get("/health/live").status == 200
    check_unavailable(instance.get("/health/ready"))
    check_unavailable(instance.get("/contagem-pessoas"))
    check_unavailable(create_person(instance.client))

    database.symlink_to(stack.config.db_socket)

    wait_until(lambda: instance.get("/health/ready").status == 200, describe=instance.log)
    wait_until(lambda: create_person(instance.client).status == 201, describe=instance.log)


@pytest.fixture
def root(stack: RunningStack) -> Iterator[Cursor]:
    with root_cursor(stack) as cursor:
        yield cursor


@pytest.fixture
def other_database(root: Cursor) -> Iterator[str]:
    """Yield the name of a database like the service's, on which the service's account has the same privileges."""
    name = f"other_{secrets.token_hex(4)}"
    root.execute(f"CREATE DATABASE {name}")
    root.execute(f"CREATE TABLE {name}.pessoas LIKE rinha.pessoas")
    root.execute(f"GRANT SELECT, INSERT ON {name}.pessoas TO 'rinha'@'%'")
    yield name
    root.execute(f"REVOKE SELECT, INSERT ON {name}.pessoas FROM 'rinha'@'%'")
    root.execute(f"DROP DATABASE {name}")


def test_an_instance_is_not_ready_for_another_schema(start: Start, root: Cursor, other_database: str) -> None:
    """A newer schema counts as another one. The instance becomes ready with its own schema."""
    root.execute(f"ALTER TABLE {other_database}.pessoas COMMENT = 'schema 99'")
    instance = start(DB_NAME=other_database)

    assert instance.get("/health/live").status == 200
    assert "schema 99" in check_unavailable(instance.get("/health/ready"))

    root.execute(f"ALTER TABLE {other_database}.pessoas COMMENT = '{SCHEMA}'")

    assert instance.get("/health/ready").status == 200


def test_an_instance_is_not_ready_without_its_table(start: Start, root: Cursor, other_database: str) -> None:
    root.execute(f"DROP TABLE {other_database}.pessoas")
    instance = start(DB_NAME=other_database)

    assert instance.get("/health/live").status == 200
    check_unavailable(instance.get("/health/ready"))

    root.execute(f"CREATE TABLE {other_database}.pessoas LIKE rinha.pessoas")

    wait_until(lambda: instance.get("/health/ready").status == 200, describe=instance.log)


def healthcheck(environment: dict[str, str]) -> int:
    """Return the exit status of the health check, which prints nothing."""
    completed = subprocess.run(
        [sys.executable, "-m", "service", "--healthcheck"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert completed.stdout + completed.stderr == ""
    return completed.returncode


@LISTENERS
def test_the_healthcheck_of_a_ready_instance_exits_0(start: Start, stack: RunningStack, listener: str) -> None:
    instance = start(listener)

    assert healthcheck(service_environment(stack, LISTEN=instance.listen)) == 0


@pytest.mark.parametrize("listener", [EACH, TCP])
def test_the_healthcheck_without_an_instance_exits_1(stack: RunningStack, directory: Path, listener: str) -> None:
    assert healthcheck(service_environment(stack, LISTEN=listen_setting(listener, directory))) == 1


def test_the_healthcheck_of_an_instance_that_is_not_ready_exits_1(start: Start, stack: RunningStack) -> None:
    instance = start(DB_SOCKET="/nowhere/mysql.sock")

    assert healthcheck(service_environment(stack, LISTEN=instance.listen)) == 1
