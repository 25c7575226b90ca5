"""What an operator does to a stack, and what they see of it."""

import json
import random
import secrets
import time
from collections.abc import Callable
from string import ascii_lowercase, digits

import pymysql
from pymysql.cursors import Cursor

from ops import ROOT
from ops.stack.data_directory import DataDirectory
from ops.system.processes import kill_group
from service.person import Person
from service.store import PeopleStore
from tests.support.people import somebody
from tests.support.stack import RunningStack


class connected:
    """A cursor of MySQL's root."""

    def __init__(self, stack: RunningStack) -> None:
        self._connection = pymysql.connect(
            unix_socket=stack.config.db_socket, user="root", database="rinha", charset="utf8mb4", autocommit=True,
            ssl_disabled=True,
        )  # fmt: skip

    def __enter__(self) -> Cursor:
        return self._connection.cursor()

    def __exit__(self, *error: object) -> None:
        self._connection.close()


def fill(store: PeopleStore, count: int = 200) -> list[Person]:
    """Store people with so much text that there are canary rows among them."""
    people = [
        somebody(name=secrets.token_hex(30), skills=[secrets.token_hex(16) for _ in range(8)]) for _ in range(count)
    ]
    for person in people:
        store.add(person)
    return people


def findings(stack: RunningStack, *options: str) -> dict[str, dict[str, object]]:
    """Return what ./rinha doctor finds, by name."""
    said = stack.rinha("doctor", "--json", *options)
    found = {finding["name"]: finding for finding in json.loads(said.stdout)}
    assert said.returncode == (0 if all(finding["ok"] for finding in found.values()) else 1), said.stderr
    return found


def what_is_wrong(stack: RunningStack, *options: str) -> list[str]:
    return [name for name, finding in findings(stack, *options).items() if not finding["ok"]]


def commit_after_a_sync_and_kill(stack: RunningStack, person: Person, **columns: int) -> None:
    """Make InnoDB lose a person from the index, on a table without the gate.

    The row gets its document id before a row that is committed and synced before it; then MySQL is killed.
    """
    before = DataDirectory(stack.data).running().components["mysql"]
    names = ", ".join(["id", "apelido", "nome", "stack", "nascimento", *columns])
    more = "".join(f", {value}" for value in columns.values())
    insert = f"INSERT INTO pessoas ({names}) VALUES (%s, %s, %s, %s, '2000-01-01'{more})"
    synced = "SELECT value FROM information_schema.innodb_ft_config WHERE `key` = 'synced_doc_id'"
    with connected(stack) as late, connected(stack) as others:
        late.execute("BEGIN")
        others.execute("SET GLOBAL innodb_ft_aux_table = 'rinha/pessoas'")
        others.execute(synced)
        synced_before = others.fetchall()
        late.execute(insert, (*person[:3], None))
        for _ in range(8):  # so many different trigrams that InnoDB syncs its cache
            text = "\n".join("".join(random.choices(ascii_lowercase + digits, k=32)) for _ in range(400))
            others.execute(insert, (*somebody()[:3], text))
        until(lambda: others.execute(synced) and others.fetchall() != synced_before)
        time.sleep(1.0)  # it takes along what came meanwhile
        late.execute("COMMIT")
    kill_group(before.pid)
    until(lambda: DataDirectory(stack.data).running().components.get("mysql", before) != before)
    until(lambda: stack.rinha("sql", "-e", "SELECT 1").returncode == 0)


def make_triggers_again(stack: RunningStack) -> None:
    """Make the triggers anew, count the people, and wait for the service."""
    stack.sql((ROOT / "db/schema.sql").read_text())
    stack.sql("UPDATE contagem SET pessoas = (SELECT COUNT(*) FROM pessoas)")
    until(lambda: stack.instance(1).ask("GET", "/health/ready").status == 200)


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
