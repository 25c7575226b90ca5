"""Finds rows of the table by plan: by scan or by full text, and whole even while InnoDB merges its index."""

import contextlib
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from service.database import Database, Row
from service.errors import TookTooLong
from service.letters import Letters
from service.person import has_control_character
from service.search import LIMIT, Plan, Sample, plan, witness

SAMPLE_HOLDS = 15  # seconds after which the table is looked at again
SAMPLE_RUN = 50  # neighbouring rows that a sample takes from each place
WITNESS_AGE = 0.5  # seconds; longer than InnoDB takes to commit a merge, shorter than from one merge to the next
WITNESS_HOLDS = 0.25  # seconds for which the same witness is used
MERGE_OVER = 60  # seconds after the last insert in which a merge has long begun and ended
MERGE_PAUSE = 0.005  # seconds in which a merge is committed, mostly

# A person comes as one column, since each column of an answer costs the client as much as a row. Unit
# separators part the fields: no field has a control character, and CONCAT_WS leaves a NULL stack out.
PERSON = "CONCAT_WS(CHAR(31 USING utf8mb4), HEX(id), apelido, nome, nascimento, stack)"
_CONTAINS = "CONCAT_WS('\\n', apelido, nome, stack) COLLATE utf8mb4_0900_ai_ci LIKE %s"
_BY_SCAN = f"SELECT {{hint}} {PERSON} FROM pessoas WHERE {_CONTAINS} LIMIT {LIMIT}"
_BY_WORDS = (
    f"SELECT {{hint}} {PERSON} FROM pessoas "
    f"WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND {_CONTAINS} LIMIT {LIMIT}"
)
_BY_WORDS_OR_ID = (
    f"SELECT {{hint}} CONCAT_WS(CHAR(31 USING utf8mb4), {_CONTAINS}, {PERSON}) FROM pessoas "
    f"WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND ({_CONTAINS} OR id = X%s) LIMIT {LIMIT + 1}"
)
_NEWEST_AND_BEFORE = (
    "SELECT HEX(MAX(id)) FROM pessoas UNION ALL "
    "(SELECT CONCAT(HEX(id), busca) FROM pessoas WHERE id < X%s ORDER BY id DESC LIMIT 20)"
)
_TOTAL = (
    "SELECT COALESCE(MAX(table_rows), 0) FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name = 'pessoas'"
)
_ENDS = "SELECT COALESCE(HEX(MIN(id)), 0), COALESCE(HEX(MAX(id)), 0) FROM pessoas"
_FROM = f"(SELECT busca FROM pessoas WHERE id >= X%s LIMIT {SAMPLE_RUN})"

Trace = Callable[["Step"], None]


class Step(NamedTuple):
    """A statement that a search needed, with its values: the seconds it took, its rows (None: it was stopped)."""

    statement: str
    values: tuple[str, ...]
    seconds: float
    rows: int | None


class Finder:
    """Finds rows, each as one column `PERSON`. Every method raises Unavailable when MySQL does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._letters = Letters(database)
        self._sample = Sample()
        self._sample_holds_until = 0.0
        self._witness = ("", "")
        self._witness_holds_until = 0.0

    def find(self, term: str, trace: Trace = lambda step: None) -> Sequence[Row]:
        """Return at most 50 rows that contain `term` in a field, all of them if there are fewer.

        Raises TookTooLong if that cannot be done in the time for one statement. `trace` is told each for the term.
        """
        if has_control_character(term):  # nobody's field has one, but the text that joins the fields does
            return []
        words, pattern, cost, scan_first = self.plan(term)
        deadline = time.monotonic() + self._database.bound / 1000
        if scan_first:
            try:
                until = min(deadline, time.monotonic() + cost / 1000) if words else deadline
                return self._read(_BY_SCAN, (pattern,), until, trace)
            except TookTooLong:
                if until == deadline:
                    raise
        return self._by_words(words, pattern, deadline, trace)

    def plan(self, term: str) -> Plan:
        """Return how `find` would find `term`."""
        return plan(term, self._letters.spell, self._fresh_sample())

    def _by_words(self, words: str, pattern: str, deadline: float, trace: Trace) -> Sequence[Row]:
        """Search by full text, and make sure that the index was whole where fewer than 50 are found.

        InnoDB empties its cache of new words a moment before what it merged into the index can be seen. So the
        words are read twice, and between them those of a row of that cache, the witness: if that is still in the
        cache, the first reading was before; if in the index, so is all that is read after it (docs/search.md).
        """
        while True:
            identifier, witness_words = self._fresh_witness()
            if not witness_words:
                return self._read(_BY_WORDS, (words, pattern), deadline, trace)
            values = (pattern, f"({words}) ({witness_words}) ({words})", pattern, identifier)
            rows = self._read(_BY_WORDS_OR_ID, values, deadline, trace)
            found = [(row[2:],) for (row,) in rows if row[0] == "1"]
            if len(found) >= LIMIT or any(row.startswith(identifier, 2) for (row,) in rows):
                return found[:LIMIT]
            self._witness_holds_until = 0.0
            time.sleep(MERGE_PAUSE)

    def _fresh_witness(self) -> tuple[str, str]:
        """Return the id of a row of half a second ago and words that find it; no words if no merge can go on."""
        if time.monotonic() > self._witness_holds_until:
            now = time.time()
            old_enough = f"{int((now - WITNESS_AGE) * 1000):012x}".ljust(32, "0")  # ids begin with their time
            newest, *rows = (text for (text,) in self._database.read(_NEWEST_AND_BEFORE, (old_enough,)))
            recent = newest and now - int(newest[:12], 16) / 1000 < MERGE_OVER
            known = ((row[:32], witness(row[32:], self._sample)) for row in rows if recent)
            self._witness = next((one for one in known if one[1]), ("", ""))
            self._witness_holds_until = time.monotonic() + WITNESS_HOLDS
        return self._witness

    def _read(self, statement: str, values: tuple[str, ...], deadline: float, trace: Trace) -> Sequence[Row]:
        """Return the rows of a statement that MySQL stops at `deadline`, about."""
        rows: Sequence[Row] | None = None
        started = time.monotonic()
        if started >= deadline:
            raise TookTooLong
        statement = statement.format(hint=f"/*+ MAX_EXECUTION_TIME({max(1, int((deadline - started) * 1000))}) */")
        try:
            return (rows := self._database.read(statement, values))
        finally:
            trace(Step(statement, values, time.monotonic() - started, None if rows is None else len(rows)))

    def _fresh_sample(self) -> Sample:
        """Return a sample of the table, a new one if the table has grown by a quarter since."""
        if time.monotonic() > self._sample_holds_until:
            self._sample_holds_until = time.monotonic() + SAMPLE_HOLDS
            total = int(self._database.read(_TOTAL)[0][0])
            if not 0.75 * self._sample.total <= total <= 1.25 * self._sample.total:
                self._take_sample(total)
        return self._sample

    def _take_sample(self, total: int) -> None:
        first, last = (int(end, 16) for end in self._database.read(_ENDS)[0])
        count = math.ceil(1.3 * math.sqrt(total) / SAMPLE_RUN)
        starts = [f"{random.randint(first, last):032x}" for _ in range(count)]  # noqa: S311
        with contextlib.suppress(TookTooLong):  # then the old one must do for now
            rows = self._database.read(" UNION ALL ".join([_FROM] * count), starts) if count else []
            self._sample = Sample([row[0] for row in rows], total)
