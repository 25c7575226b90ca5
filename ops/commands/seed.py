"""Load realistic sample people into the running stack."""

import argparse
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import pymysql
from pymysql.constants import ER
from pymysql.cursors import Cursor

from ops import terminal
from ops.commands import options
from ops.console import Share, show_progress
from ops.errors import OperatorError
from ops.sample_people import BLOCK, SamplePerson, block
from ops.stack.availability import STATEMENT_TIMEOUT, is_away, wait_for_mysql
from ops.stack.data_directory import DataDirectory
from ops.stack.members import primary_directory
from ops.stack.mysql import connect_as_root
from service.person import Person, new_id
from service.store import INSERT, insert_values

# One connection commits while the other sends rows. A third one waits for the lock of the full-text index.
CONNECTIONS = 2
MAX_TRIES = 5  # of a block, while MySQL restarts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the stack, and the number of people."""
    options.add_stack(parser)
    parser.add_argument(
        "count", type=int, metavar="N", help="store the sample people 1 to N, except those that are stored already"
    )


def run(arguments: argparse.Namespace) -> int:
    """Load the people, and show the progress."""
    directory = options.data_directory(arguments)
    directory.running()
    try:
        load(primary_directory(directory), arguments.count, _progress(arguments.count))
    except pymysql.MySQLError as error:
        raise OperatorError(f"MySQL: {error}; run the same command again to continue") from None
    finally:
        if terminal.is_screen():
            print()
    return 0


def _progress(total: int) -> Callable[[int, int], None]:
    """Return a function that shows how many of `total` people are stored, and how many were loaded now."""
    started = time.monotonic()

    def show(stored: int, loaded: int) -> None:
        rate = loaded / (time.monotonic() - started)
        show_progress(Share(f"{stored:,} of {total:,} people, {rate:,.0f} a second", stored, total))

    return show


def load(directory: DataDirectory, count: int, progress: Callable[[int, int], None]) -> None:
    """Store the first `count` people of ops.sample_people, except those whose nickname is taken.

    After each block, `progress` receives the number of people that are stored and how many of them were loaded now. A
    block is stored by one statement. So a load that was stopped can be repeated: a block is complete if its last person
    is stored. If MySQL restarts, the load waits and continues. Raises pymysql.MySQLError and OperatorError.
    """
    loader = _Loader(directory)
    stored = loaded = 0
    pool = ThreadPoolExecutor(CONNECTIONS)
    try:
        blocks = [
            pool.submit(loader.store, first // BLOCK, min(BLOCK, count - first)) for first in range(0, count, BLOCK)
        ]
        for finished in as_completed(blocks):
            size, added = finished.result()
            stored += size
            loaded += added
            progress(stored, loaded)
    finally:
        pool.shutdown(cancel_futures=True)


class _Loader:
    """Stores blocks. Each thread has a connection, and makes a new one if MySQL has restarted."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._thread = threading.local()
        self._waiting = threading.Lock()
        self._silence: OperatorError | None = None

    def store(self, number: int, size: int) -> tuple[int, int]:
        """Store the first `size` people of a block unless they are stored; return size and number of rows added."""
        for _ in range(MAX_TRIES - 1):
            try:
                return size, self._store_once(number, size)
            except pymysql.MySQLError as error:
                if not is_away(error):
                    raise
                self._thread.cursor = None
        return size, self._store_once(number, size)

    def _store_once(self, number: int, size: int) -> int:
        if not getattr(self._thread, "cursor", None):
            self._wait_for_mysql()
            connection = connect_as_root(self._directory.mysql_socket, database="rinha", read_timeout=STATEMENT_TIMEOUT)
            self._thread.cursor = connection.cursor()
        return _store_block(self._thread.cursor, number, size)

    def _wait_for_mysql(self) -> None:
        """Wait in one thread. If MySQL does not answer in time, the other threads do not wait again."""
        with self._waiting:
            if self._silence:
                raise self._silence
            try:
                wait_for_mysql(self._directory, show_progress)
            except OperatorError as error:
                self._silence = error
                raise


def _store_block(cursor: Cursor, number: int, size: int) -> int:
    """Store the first `size` people of a block unless they are stored; return the number of rows added."""
    people = list(islice(block(number), size))
    if cursor.execute("SELECT 1 FROM pessoas WHERE (apelido, nome, nascimento) = (%s, %s, %s)", people[-1][:3]):
        return 0
    rows = [_values(person) for person in people]
    try:
        return cursor.executemany(INSERT, rows) or 0
    except pymysql.IntegrityError as error:
        if error.args[0] != ER.DUP_ENTRY:
            raise
    # Row by row in one transaction. INSERT IGNORE with several rows would leave rows out of the full-text index.
    cursor.execute("BEGIN")
    added = sum(_add(cursor, row) for row in rows)
    cursor.execute("COMMIT")
    return added


def _add(cursor: Cursor, row: tuple[str | None, ...]) -> int:
    """Insert a row unless its nickname is taken; return the number of rows added."""
    try:
        return cursor.execute(INSERT, row)
    except pymysql.IntegrityError as error:
        if error.args[0] != ER.DUP_ENTRY:
            raise
        return 0


def _values(person: SamplePerson) -> tuple[str | None, ...]:
    return insert_values(Person(new_id(), *person))
