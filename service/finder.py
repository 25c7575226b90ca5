"""Finds rows of the table by plan: by scan or by full text, and whole even while InnoDB syncs its index."""

import contextlib
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from service.database import Database, Row
from service.errors import TookTooLong
from service.letters import Letters, canary_word
from service.person import has_control_character
from service.search import LIMIT, Plan, Sample, plan

SAMPLE_HOLDS = 15  # seconds after which the table is looked at again
SAMPLE_RUN = 50  # neighbouring rows that a sample takes from each place
BEHIND = (0, 1, 3, 12)  # how far behind the newest canary row those are that a search asks for: docs/search.md
SYNC_OVER = 60  # seconds without a change of the table in which the last sync has begun and ended
SYNC_PAUSE = 0.005  # seconds in which a sync is committed, mostly
SYNC_TRIES = 20  # after which a search is done by a scan, which needs no index

# A person comes as one column, since each column of an answer costs the client as much as a row. Unit
# separators part the fields: no field has a control character, and CONCAT_WS leaves a NULL stack out.
PERSON = "CONCAT_WS(CHAR(31 USING utf8mb4), HEX(id), apelido, nome, nascimento, stack)"
_CONTAINS = "CONCAT_WS('\\n', apelido, nome, stack) COLLATE utf8mb4_0900_ai_ci LIKE %s"
_BY_SCAN = f"SELECT {{hint}} {PERSON} FROM pessoas WHERE {_CONTAINS} LIMIT {LIMIT}"
_BY_WORDS = (
    f"SELECT {{hint}} {PERSON} FROM pessoas "
    f"WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND {_CONTAINS} LIMIT {LIMIT}"
)
_BY_WORDS_WITH_CANARIES = (
    f"SELECT {{hint}} CONCAT_WS(CHAR(31 USING utf8mb4), canario, IF({_CONTAINS}, {PERSON}, NULL)) FROM pessoas "
    f"WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND ({_CONTAINS} OR canario IN ({{canaries}})) "
    f"LIMIT {LIMIT + len(BEHIND)}"
)
_GATE = "SELECT CONCAT_WS(' ', pessoas, bytes, canarios, perdidos) FROM contagem"
_TOTAL = "SELECT pessoas FROM contagem"
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
        self._gate: tuple[int, str] = (0, "")
        self._gate_holds_since = 0.0

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

        InnoDB empties its cache of new words a moment before what it synced to the index can be seen. So the words
        are read twice, and between them those of canary rows: if all of these are found, no row was missed
        (docs/search.md). If not, the search is repeated.
        """
        for _ in range(SYNC_TRIES):
            canaries, connection = self._canaries(), self._database.connections
            if canaries is None:
                break
            if not canaries:
                return self._read(_BY_WORDS, (words, pattern), deadline, trace)
            statement = _BY_WORDS_WITH_CANARIES.replace("{canaries}", ", ".join(map(str, canaries)))
            asked = f"({words}) {' '.join(map(canary_word, canaries))} ({words})"
            rows = self._read(statement, (pattern, asked, pattern), deadline, trace)
            parts = [row.partition("\x1f") for (row,) in rows]
            found = [(person,) for _, _, person in parts if person]
            whole = canaries <= {int(number) for number, _, _ in parts} and connection == self._database.connections
            if whole or len(found) >= LIMIT:
                return found[:LIMIT]
            time.sleep(SYNC_PAUSE)
        return self._read(_BY_SCAN, (pattern,), deadline, trace)

    def _canaries(self) -> set[int] | None:
        """Return the canary rows to ask for: none if no sync can go on, None if one of them may be gone."""
        numbers = self._database.read(_GATE)[0][0]
        gate = self._database.connections, numbers
        if gate != self._gate:
            self._gate, self._gate_holds_since = gate, time.monotonic()
        _, _, newest, lost = map(int, numbers.split())
        if not newest or time.monotonic() - self._gate_holds_since > SYNC_OVER:
            return set()
        canaries = {max(newest - behind, 1) for behind in BEHIND}
        return canaries if lost < min(canaries) else None

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
