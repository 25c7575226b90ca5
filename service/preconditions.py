"""What the promises rest on in MySQL: the schema, settings of the server, and an index that has the stored rows.

A server without the settings of db/my.cnf runs and answers, and loses rows from searches or at a power failure. Its
n-grams stay in the index after the settings are right. So the settings are read, and stored rows are looked up.
"""

import random
import time
from typing import NamedTuple

from service.database import Database
from service.errors import Unavailable
from service.search import NGRAM_SIZE

COLLATION = "utf8mb4_0900_ai_ci"
# The values that a setting of the server may have, as in db/start.sql. MySQL prints ON as 1, except of doublewrite.
SETTINGS = {
    "ngram_token_size": (str(NGRAM_SIZE),),
    "innodb_ft_enable_stopword": ("0",),
    "innodb_flush_log_at_trx_commit": ("1",),
    "innodb_doublewrite": ("ON", "DETECT_AND_RECOVER"),
    "collation_server": (COLLATION,),
}
PLACES = 6  # random places of the table at which a row is looked up, beside the first row and the last
LOOKUPS = 20  # of a row: a sync of InnoDB's full-text cache hides rows for milliseconds
LOOKUP_PAUSE = 0.02  # seconds

_SCHEMA = (
    "SELECT CONCAT_WS(', ', table_comment, table_collation) FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name = 'pessoas'"
)
_CAPACITY = ("max_connections", "max_user_connections")  # 0 user connections are no limit
_SETTINGS = "SELECT " + ", ".join(f"@@GLOBAL.{name}" for name in (*SETTINGS, *_CAPACITY))
_ENDS = "SELECT HEX(MIN(id)), HEX(MAX(id)) FROM pessoas"
# The search key of a canary row ends with three codes that no other row has. There is a canary row among some hundred
# rows, except in a table of fewer rows.
_CANARY = "marca & 0xFFFFFFFF"
_ROW = "(SELECT HEX(id), RIGHT(busca, 3) FROM pessoas WHERE {} ORDER BY id {} LIMIT 1)"
_STORED = "SELECT HEX(id), RIGHT(busca, 3) FROM pessoas WHERE id IN ({})"
_FOUND = f"{_STORED} AND MATCH (busca) AGAINST (%s IN BOOLEAN MODE)"


class IndexedRow(NamedTuple):
    """A row that full text must find: its id in hexadecimal, and the last n-gram of its search key."""

    identifier: str
    ngram: str


class Preconditions:
    """Verifies the MySQL of an instance with so many workers. A row that was not found is looked up again each time."""

    def __init__(self, database: Database, schema: str, workers: int) -> None:
        self._database = database
        self._schema = f"{schema}, {COLLATION}"
        self._workers = workers
        self._lost: list[IndexedRow] = []

    def check(self) -> None:
        """Return if all holds; otherwise raise Unavailable, which says what does not."""
        self._check_schema()
        self._check_settings()
        if self.lost_rows(PLACES):
            raise Unavailable("the full-text index lacks rows that are stored, and must be rebuilt")

    def _check_schema(self) -> None:
        found = [text for (text,) in self._database.read(_SCHEMA)]
        if found != [self._schema]:
            raise Unavailable(f"the database has {found[0] if found else 'no schema'}, not {self._schema}")

    def _check_settings(self) -> None:
        values = dict(zip((*SETTINGS, *_CAPACITY), self._database.read(_SETTINGS)[0], strict=True))
        wrong = [
            f"{name} is {values[name]}, not {accepted[0]}"
            for name, accepted in SETTINGS.items()
            if values[name] not in accepted
        ]
        wrong += [
            f"{name} is {values[name]} for {self._workers} workers of this instance"
            for name in _CAPACITY
            if 0 < int(values[name]) < self._workers
        ]
        if wrong:
            raise Unavailable(f"MySQL does not have the settings of db/my.cnf: {'; '.join(wrong)}")

    def lost_rows(self, places: int) -> int:
        """Look up rows at both ends of the table and at random `places`; return how many are stored and not found."""
        rows = {*self._lost, *self._choose_rows(places)}
        for attempt in range(LOOKUPS):
            if not rows:
                break
            time.sleep(LOOKUP_PAUSE if attempt else 0.0)
            rows = self._not_found(rows)
        self._lost = sorted(rows)[:PLACES]
        return len(rows)

    def _choose_rows(self, places: int) -> set[IndexedRow]:
        ((first, last),) = self._database.read(_ENDS)
        if first is None:
            return set()
        low, high = int(first, 16), int(last, 16)
        starts = [first, *(f"{random.randint(low, high):032x}" for _ in range(places))]  # noqa: S311
        statements = [_ROW.format(f"id >= X%s AND {_CANARY}", "ASC")] * len(starts)
        statements.append(_ROW.format(_CANARY, "DESC"))
        canaries = self._database.read(" UNION ".join(statements), starts)
        rows = canaries or self._database.read(" UNION ".join(_ROW.format("TRUE", order) for order in ("ASC", "DESC")))
        return {IndexedRow(*row) for row in rows}

    def _not_found(self, rows: set[IndexedRow]) -> set[IndexedRow]:
        """Return those of `rows` that are stored unchanged, and that full text does not find."""
        ids = [row.identifier for row in rows]
        places = ", ".join(["X%s"] * len(ids))
        expression = " ".join(sorted({f'"{row.ngram}"' for row in rows}))
        found = {IndexedRow(*row) for row in self._database.read(_FOUND.format(places), [*ids, expression])}
        if rows == found:
            return set()
        return (rows - found) & {IndexedRow(*row) for row in self._database.read(_STORED.format(places), ids)}
