"""Load realistic people into the running database."""

import argparse
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import pymysql
from pymysql.constants import ER
from pymysql.cursors import Cursor

from ops.commands import options
from ops.console import show_progress
from ops.errors import OperatorError
from ops.sample_people import BLOCK, SamplePerson, block
from ops.stack.mysql import connect_as_root
from service.person import Person, new_id
from service.store import INSERT, insert_values

CONNECTIONS = 2  # one commits while the other is read; more wait for the full-text index's one lock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the stack, and the number of people."""
    options.add_stack(parser)
    parser.add_argument("count", type=int, metavar="N", help="how many; those of an earlier call count too")


def run(arguments: argparse.Namespace) -> int:
    """Load the people, and show how far it is."""
    directory = options.data_directory(arguments)
    directory.running()
    started = time.monotonic()
    shown = 0.0

    def show(there: int, loaded: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if there < arguments.count and now - shown < (0.2 if sys.stdout.isatty() else 10):
            return
        shown = now
        bar = "#" * int(30 * there / arguments.count)
        rate = loaded / (now - started)
        show_progress(f"[{bar:<30}] {there:,} of {arguments.count:,} people, {rate:,.0f} a second")

    try:
        load(directory.mysql_socket, arguments.count, show)
    except pymysql.MySQLError as error:
        raise OperatorError(f"MySQL: {error}; call it again to go on") from None
    finally:
        if sys.stdout.isatty():
            print()
    return 0


def load(socket: Path, count: int, loaded_so_far: Callable[[int, int], None]) -> None:
    """Make sure that the first `count` people of ops.sample_people are stored.

    `loaded_so_far` receives after each block how many are there, and how many of them were loaded now. May be stopped
    at any time and called again: a block is one statement, stored whole or not at all, and its last person tells
    which. People whose nickname is taken are left out. Raises pymysql.MySQLError.
    """
    mine = threading.local()

    def connect() -> None:
        mine.cursor = connect_as_root(socket, database="rinha").cursor()

    def store(number: int, size: int) -> tuple[int, int]:
        return size, _load(mine.cursor, number, size)

    there = loaded = 0
    pool = ThreadPoolExecutor(CONNECTIONS, initializer=connect)
    try:
        firsts = range(0, count, BLOCK)
        blocks = [pool.submit(store, first // BLOCK, min(BLOCK, count - first)) for first in firsts]
        for done in as_completed(blocks):
            size, added = done.result()
            there += size
            loaded += added
            loaded_so_far(there, loaded)
    finally:
        pool.shutdown(cancel_futures=True)


def _load(cursor: Cursor, number: int, size: int) -> int:
    """Store the first `size` people of a block if they are not there; return how many that were."""
    people = list(islice(block(number), size))
    if cursor.execute("SELECT 1 FROM pessoas WHERE (apelido, nome, nascimento) = (%s, %s, %s)", people[-1][:3]):
        return 0
    rows = [_values(person) for person in people]
    try:
        return cursor.executemany(INSERT, rows) or 0
    except pymysql.IntegrityError as error:
        if error.args[0] != ER.DUP_ENTRY:
            raise
    # Row by row in one transaction: an INSERT IGNORE of many would keep people out of the full-text index.
    cursor.execute("BEGIN")
    added = sum(_add(cursor, row) for row in rows)
    cursor.execute("COMMIT")
    return added


def _add(cursor: Cursor, row: tuple[object, ...]) -> int:
    try:
        return cursor.execute(INSERT, row)
    except pymysql.IntegrityError as error:
        if error.args[0] != ER.DUP_ENTRY:
            raise
        return 0


def _values(person: SamplePerson) -> tuple[str | None, ...]:
    return insert_values(Person(new_id(), *person))
