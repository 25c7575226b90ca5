"""The count equals the rows, and every row is found, after every statement of an operator."""

import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext

import pymysql
import pytest
from pymysql.cursors import Cursor

from ops.stack.mysql import MySQLServer
from service.person import OFFICIAL
from service.store import PeopleStore
from tests.support.mysql import fetch_row, fetch_rows, root_cursor, service_connections
from tests.support.people import create_person, store_people
from tests.support.polling import wait_until
from tests.support.stack import RunningStack

WORKERS = 8
COLUMNS = "(id, apelido, nome, nascimento)"
ROW = "(UUID_TO_BIN(UUID()), {}, 'Ana', '2000-01-01')"
# Statements of an operator. A, B and C are new nicknames; `taken` belongs to a row.
STATEMENTS = {
    "one row": [f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format('A')}"],
    "three rows": [f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format('A')}, {ROW.format('B')}, {ROW.format('C')}"],
    "a duplicate among three": [
        f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format('A')}, {ROW.format('taken')}, {ROW.format('B')}"
    ],
    "IGNORE": [f"INSERT IGNORE INTO pessoas {COLUMNS} VALUES {ROW.format('taken')}, {ROW.format('A')}"],
    "ON DUPLICATE KEY UPDATE": [
        f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format('taken')} ON DUPLICATE KEY UPDATE nome = 'Bia'"
    ],
    "REPLACE": [f"REPLACE INTO pessoas {COLUMNS} VALUES {ROW.format('taken')}, {ROW.format('A')}"],
    "from a query": [
        f"INSERT INTO pessoas {COLUMNS} SELECT UUID_TO_BIN(UUID()), CONCAT('x', LEFT(apelido, 31)), nome, nascimento "
        "FROM pessoas WHERE apelido NOT LIKE 'x%'"
    ],
    "rolled back": ["BEGIN", f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format('A')}", "ROLLBACK"],
    "half rolled back": [
        "BEGIN", f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format('A')}", "SAVEPOINT half",
        f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format('B')}", "ROLLBACK TO half", "COMMIT",
    ],
    "DELETE of one": ["DELETE FROM pessoas WHERE apelido = taken"],
    "DELETE rolled back": ["BEGIN", "DELETE FROM pessoas", "ROLLBACK"],
    "UPDATE": ["UPDATE pessoas SET nome = CONCAT(nome, ' Maria')"],
    "TRUNCATE": ["TRUNCATE pessoas"],
    "ALTER": ["ALTER TABLE pessoas FORCE"],
    "another number of a canary row": [
        "INSERT INTO pessoas (id, apelido, nome, nascimento, marca) VALUES (UUID_TO_BIN(UUID()), A, 'Ana', "
        "'2000-01-01', 7)"
    ],
    "DELETE of the newest": ["DELETE FROM pessoas ORDER BY id DESC LIMIT 500"],
    "DELETE of all": ["DELETE FROM pessoas"],
}  # fmt: skip
REFUSED = ("a duplicate among three", "TRUNCATE")


@pytest.fixture
def operator(operator_stack: RunningStack) -> Iterator[Cursor]:
    with root_cursor(operator_stack) as cursor:
        yield cursor


def check_count_and_index(stack: RunningStack, operator: Cursor) -> None:
    """Check that the count equals the rows, and that the newest rows are found by search."""

    def is_exact() -> bool:
        (rows,) = fetch_row(operator, "SELECT COUNT(*) FROM pessoas")
        return bool(int(stack.wire.request("GET", "/contagem-pessoas").body) == rows)

    wait_until(is_exact)  # a creation that was given up may be stored between the two statements
    store = PeopleStore(stack.config)
    for (nickname,) in fetch_rows(operator, "SELECT apelido FROM pessoas ORDER BY id DESC LIMIT 300"):
        assert nickname in [person.nickname for person in store.search(nickname)]


@pytest.mark.parametrize("kind", STATEMENTS)
def test_the_count_equals_the_rows_after_any_statement(
    operator_stack: RunningStack, operator: Cursor, kind: str
) -> None:
    store = PeopleStore(operator_stack.config)
    people = store_people(store, 40 if kind != "DELETE of the newest" else 200)
    nicknames = {"taken": people[0].nickname, **{name: secrets.token_hex(10) for name in "ABC"}}
    for template in STATEMENTS[kind]:
        statement = re.sub(r"(?<=[,=] )(taken|[ABC])\b", lambda found: f"'{nicknames[found[1]]}'", template)
        with pytest.raises(pymysql.MySQLError) if kind in REFUSED else nullcontext():
            operator.execute(statement)

    check_count_and_index(operator_stack, operator)
    store_people(store, 3)
    check_count_and_index(operator_stack, operator)


def test_a_dump_and_its_restoration_keep_people_count_and_search(
    operator_stack: RunningStack, operator: Cursor
) -> None:
    store = PeopleStore(operator_stack.config)
    people = store_people(store)
    client = MySQLServer(operator_stack.directory).client_command()
    dump = [f"{word}dump" if word.endswith("bin/mysql") else word for word in client]
    dumped = subprocess.run([*dump, "--single-transaction", "rinha"], capture_output=True, check=True)
    store_people(store, 5)  # that are not in the dump

    subprocess.run([*client, "rinha"], input=dumped.stdout, check=True)

    check_count_and_index(operator_stack, operator)
    assert all(store.get(person.id) == person for person in people)
    assert create_person(operator_stack.wire).status == 201
    check_count_and_index(operator_stack, operator)


def test_a_row_that_bypasses_the_gate_is_refused(operator_stack: RunningStack, operator: Cursor) -> None:
    """Such a row might be missing from the index after a crash."""
    with root_cursor(operator_stack) as cursor:
        cursor.execute("BEGIN")
        cursor.execute("DELETE FROM contagem")
        with pytest.raises(pymysql.MySQLError, match="portao"):
            cursor.execute(f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format(repr(secrets.token_hex(8)))}")
        cursor.execute("ROLLBACK")
    check_count_and_index(operator_stack, operator)


@pytest.mark.long
def test_an_open_transaction_of_an_operator_blocks_no_read(operator_stack: RunningStack, operator: Cursor) -> None:
    """Creations wait for it at the gate and are refused in time. They do not use all connections of MySQL."""
    (person,) = store_people(PeopleStore(operator_stack.config), 1)
    operator.execute("BEGIN")
    operator.execute(f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format(repr(secrets.token_hex(8)))}")
    try:
        for _ in range(4):
            assert create_person(operator_stack.wire).status == 503
            found = operator_stack.wire.request("GET", f"/pessoas?t={person.nickname}")
            assert found.json() == [person.document(OFFICIAL)]
        assert service_connections(operator) <= 2 * WORKERS  # one that waits, and one for the next request
    finally:
        operator.execute("ROLLBACK")
    waiting = "SELECT 1 FROM information_schema.processlist WHERE user = 'rinha' AND command = 'Query'"
    wait_until(lambda: not fetch_rows(operator, waiting))  # a statement that was given up ends a moment later
    check_count_and_index(operator_stack, operator)
