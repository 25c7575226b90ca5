"""InnoDB's full-text index: its syncs, and the loss of a row from it."""

import random
import time
from string import ascii_lowercase, digits

from pymysql.cursors import Cursor

from ops.system.processes import kill_group
from service.person import Person
from tests.support.mysql import fetch_rows, root_cursor
from tests.support.people import new_person
from tests.support.polling import wait_until
from tests.support.stack import RunningStack


def watch_syncs(cursor: Cursor) -> None:
    """Let `last_synced` read the state of the index of the people."""
    cursor.execute("SET GLOBAL innodb_ft_aux_table = 'rinha/pessoas'")


def last_synced(cursor: Cursor) -> tuple[object, ...]:
    """Return the greatest document id of the last sync."""
    return fetch_rows(cursor, "SELECT value FROM information_schema.innodb_ft_config WHERE `key` = 'synced_doc_id'")


def wait_for_last_sync(cursor: Cursor) -> None:
    """Wait until no sync has ended for two seconds: the rows that came during a sync may need a further one."""
    synced, since = last_synced(cursor), time.monotonic()
    while time.monotonic() - since < 2.0:
        time.sleep(0.1)
        if (now := last_synced(cursor)) != synced:
            synced, since = now, time.monotonic()


def lose_from_index(stack: RunningStack, person: Person, **columns: int) -> None:
    """Make InnoDB lose a person from the index, on a table without the gate.

    The row gets its document id before a row that is committed and synced earlier; then MySQL is killed.
    """
    killed = stack.directory.running().components["mysql"]
    names = ", ".join(["id", "apelido", "nome", "stack", "nascimento", *columns])
    more = "".join(f", {value}" for value in columns.values())
    insert = f"INSERT INTO pessoas ({names}) VALUES (%s, %s, %s, %s, '2000-01-01'{more})"
    with root_cursor(stack) as late, root_cursor(stack) as early:
        late.execute("BEGIN")
        watch_syncs(early)
        before = last_synced(early)
        late.execute(insert, (person.id, person.nickname, person.name, None))
        for _ in range(8):  # with so many distinct trigrams that InnoDB syncs its cache
            text = "\n".join("".join(random.choices(ascii_lowercase + digits, k=32)) for _ in range(400))
            other = new_person()
            early.execute(insert, (other.id, other.nickname, other.name, text))
        wait_until(lambda: last_synced(early) != before)
        wait_for_last_sync(early)
        late.execute("COMMIT")
    kill_group(killed.pid)
    wait_until(lambda: stack.directory.running().components.get("mysql", killed) != killed)
    wait_until(lambda: stack.rinha("sql", "-e", "SELECT 1").returncode == 0)
