"""The count is exact after whatever an operator does, and whoever was added or changed is found."""

import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pymysql
import pytest
from pymysql.cursors import Cursor

from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import MySQLServer
from service.person import OFFICIAL
from service.store import PeopleStore
from tests.support.client import post
from tests.support.operating import connected, fill, until
from tests.support.stack import RunningStack

WORKERS = 8
COLUMNS = "(id, apelido, nome, nascimento)"
ROW = "(UUID_TO_BIN(UUID()), {}, 'Ana', '2000-01-01')"
# What an operator may say. A, B and C are nicknames that nobody has; `taken` is there already.
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
def operator(operated: RunningStack) -> Iterator[Cursor]:
    with connected(operated) as cursor:
        yield cursor


def check(stack: RunningStack, operator: Cursor) -> None:
    """Check that the count equals the rows, and that everybody is found by search."""
    operator.execute("SELECT COUNT(*) FROM pessoas")
    (rows,) = operator.fetchone() or (None,)
    assert int(stack.wire.ask("GET", "/contagem-pessoas").body) == rows
    operator.execute("SELECT apelido FROM pessoas ORDER BY id DESC LIMIT 300")
    store = PeopleStore(stack.config)
    for (nick,) in operator.fetchall():
        assert nick in [person.nickname for person in store.search(nick)]


@pytest.mark.parametrize("what", STATEMENTS)
def test_the_count_equals_the_rows_after_any_statement(operated: RunningStack, operator: Cursor, what: str) -> None:
    store = PeopleStore(operated.config)
    people = fill(store, 40 if what != "DELETE of the newest" else 200)
    names = {"taken": people[0].nickname, **{name: secrets.token_hex(10) for name in "ABC"}}
    for statement in STATEMENTS[what]:
        said = re.sub(r"(?<=[,=] )(taken|[ABC])\b", lambda found: f"'{names[found[1]]}'", statement)
        with pytest.raises(pymysql.MySQLError) if what in REFUSED else nullcontext():
            operator.execute(said)

    check(operated, operator)
    fill(store, 3)
    check(operated, operator)


def test_a_dump_and_its_restoration_keep_people_count_and_search(
    operated: RunningStack, operator: Cursor, tmp_path: Path
) -> None:
    people = fill(PeopleStore(operated.config))
    client = MySQLServer(DataDirectory(operated.data)).client_command()
    dump = [f"{word}dump" if word.endswith("bin/mysql") else word for word in client]
    dumped = subprocess.run([*dump, "--single-transaction", "rinha"], capture_output=True, check=True)
    fill(PeopleStore(operated.config), 5)  # who are not in the dump

    subprocess.run([*client, "rinha"], input=dumped.stdout, check=True)

    check(operated, operator)
    store = PeopleStore(operated.config)
    assert all(store.get(person.id) == person for person in people)
    created = post(
        operated.wire, "/pessoas", {"apelido": secrets.token_hex(8), "nome": "Z", "nascimento": "2000-01-01"}
    )
    assert created.status == 201
    check(operated, operator)


def test_people_who_did_not_pass_the_gate_are_refused(operated: RunningStack, operator: Cursor) -> None:
    """They would not be in the index."""
    with connected(operated) as cursor:
        cursor.execute("BEGIN")
        cursor.execute("DELETE FROM contagem")
        with pytest.raises(pymysql.MySQLError, match="portao"):
            cursor.execute(f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format(repr(secrets.token_hex(8)))}")
        cursor.execute("ROLLBACK")
    check(operated, operator)


def test_a_transaction_that_an_operator_leaves_open_holds_up_nobody_who_reads(
    operated: RunningStack, operator: Cursor
) -> None:
    """Creations wait for it at the gate and are refused in time; they do not take all of MySQL's connections."""
    person = fill(PeopleStore(operated.config), 1)[0]
    operator.execute("BEGIN")
    operator.execute(f"INSERT INTO pessoas {COLUMNS} VALUES {ROW.format(repr(secrets.token_hex(8)))}")
    try:
        for _ in range(4):
            answer = post(
                operated.wire, "/pessoas", {"apelido": secrets.token_hex(8), "nome": "Z", "nascimento": "2000-01-01"}
            )
            assert answer.status == 503
            assert operated.wire.ask("GET", f"/pessoas?t={person.nickname}").json() == [person.document(OFFICIAL)]
        operator.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'rinha'")
        assert operator.fetchone()[0] <= 2 * WORKERS  # type: ignore[index] - one that waits, one for what comes next
    finally:
        operator.execute("ROLLBACK")
    waiting = "SELECT 1 FROM information_schema.processlist WHERE user = 'rinha' AND command = 'Query'"
    until(lambda: operator.execute(waiting) == 0)  # a statement whose reply was given up ends a moment later
    check(operated, operator)
