"""Loads realistic people in bulk, through the same table and indexes that the service inserts into."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import pymysql
from pymysql.constants import ER
from pymysql.cursors import Cursor

from ops.crowd import BLOCK, Somebody, block

CONNECTIONS = 2  # one commits while the other is read; more wait for the full-text index's one lock

_INSERT = "INSERT INTO pessoas (id, apelido, nome, nascimento, stack) VALUES (%s, %s, %s, %s, %s)"


def load(socket: Path, count: int, report: Callable[[int, int], None]) -> None:
    """Make sure that the first `count` people of ops.crowd are stored.

    `report` is told after each block how many are there, and how many of them were loaded now. May be stopped
    at any time and called again: a block is one statement, stored whole or not at all, and its last person tells
    which. People whose nickname somebody else has taken are left out. Raises pymysql.MySQLError.
    """
    mine = threading.local()

    def connect() -> None:
        mine.cursor = pymysql.connect(
            unix_socket=str(socket),
            user="root",
            database="rinha",
            charset="utf8mb4",
            autocommit=True,
            ssl_disabled=True,
        ).cursor()

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
            report(there, loaded)
    finally:
        pool.shutdown(cancel_futures=True)


def _load(cursor: Cursor, number: int, size: int) -> int:
    """Store the first `size` people of a block if they are not there; return how many that were."""
    people = list(islice(block(number), size))
    if cursor.execute("SELECT 1 FROM pessoas WHERE (apelido, nome, nascimento) = (%s, %s, %s)", people[-1][:3]):
        return 0
    rows = [_row(person) for person in people]
    try:
        return cursor.executemany(_INSERT, rows) or 0
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
        return cursor.execute(_INSERT, row)
    except pymysql.IntegrityError as error:
        if error.args[0] != ER.DUP_ENTRY:
            raise
        return 0


def _row(person: Somebody) -> tuple[object, ...]:
    return (_new_id(), *person[:3], None if person.skills is None else "\n".join(person.skills))


def _new_id() -> bytes:
    """Return a UUID version 7 (RFC 9562): 48 bits of milliseconds, the rest random but for version and variant."""
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
    return (number & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62).to_bytes(16, "big")
