"""Finds rows of the table by plan: by scan or by full text, and whole even while InnoDB syncs its index."""

import contextlib
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from service.database import Database, Row, TooMuch
from service.errors import TookTooLong
from service.gate import BEHIND, GATE, Gate
from service.letters import Letters, canary_word
from service.person import has_control_character
from service.sampler import Sampler
from service.search import LIMIT, Plan, plan

BATCH = 20_000  # entries of lists that one statement reads, about: some 15 ms
MOST_ALPHABETS = 12  # in one statement: MySQL allows some thirty pairs of parentheses
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
_CANARY = "marca & 0xFFFFFFFF"
_BY_WORDS_WITH_CANARIES = (
    f"SELECT {{hint}} CONCAT_WS(CHAR(31 USING utf8mb4), {_CANARY}, IF({_CONTAINS}, {PERSON}, NULL)) FROM pessoas "
    f"WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND ({_CONTAINS} OR {_CANARY} IN ({{canaries}})) "
    f"LIMIT {LIMIT + len(BEHIND)}"
)
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
        self._sampler = Sampler(database)
        self._gate: tuple[int, str] = (0, "")
        self._gate_holds_since = 0.0

    def find(self, term: str, trace: Trace = lambda step: None) -> Sequence[Row]:
        """Return at most 50 rows that contain `term` in a field, all of them if there are fewer.

        Raises TookTooLong if that cannot be done in the time for one statement. `trace` is told each for the term.
        """
        if has_control_character(term):  # nobody's field has one, but the text that joins the fields does
            return []
        planned = self.plan(term)
        deadline = time.monotonic() + self._database.bound / 1000
        if planned.scan_first:
            try:
                until = min(deadline, time.monotonic() + planned.cost / 1000) if planned.pieces else deadline
                return self._read(_BY_SCAN, (planned.pattern,), until, trace)
            except TookTooLong:
                if until == deadline:
                    raise
        found = self._by_words(planned, deadline, trace)
        return self._read(_BY_SCAN, (planned.pattern,), deadline, trace) if found is None else found

    def plan(self, term: str) -> Plan:
        """Return how `find` would find `term`."""
        return plan(term, self._letters.weigh, self._sampler.sample())

    def _by_words(self, planned: Plan, deadline: float, trace: Trace) -> Sequence[Row] | None:
        """Search by full text, from the oldest alphabet to the newest, until 50 are found; return None if it cannot.

        A statement reads the lists of as many alphabets as have some 20,000 entries, and of one at least.
        """
        found: dict[Row, None] = {}  # somebody may be changed meanwhile, and get the newest alphabet
        gate, first = self._read_gate(), 0
        while len(found) < LIMIT and first <= gate.newest:
            entries = [planned.entries * gate.rows(alphabet) for alphabet in range(first, gate.newest + 1)]
            count = bisect_right(list(accumulate(entries[:MOST_ALPHABETS])), BATCH) or 1
            rows = self._within_memory(range(first, first + count), gate, planned, deadline, trace)
            if rows is None:
                return None
            found.update(dict.fromkeys(rows))
            first += count
            if first <= gate.newest:
                gate = self._read_gate()
        return list(found)[:LIMIT]

    def _within_memory(
        self, alphabets: range, gate: Gate, planned: Plan, deadline: float, trace: Trace
    ) -> Sequence[Row] | None:
        """Search the rows of some alphabets; by one piece alone, whichever it is, if all need too much memory.

        The sample tells the share of a piece in the table, and one alphabet may have most of its rows.
        """
        alone = [planned._replace(pieces=(piece,)) for piece in planned.pieces]
        for tried in (planned, *(alone if len(alone) > 1 else ())):
            with contextlib.suppress(TooMuch):
                return self._of_alphabets(alphabets, gate, tried, deadline, trace)
            gate = self._read_gate()  # the newest canary row, for what is asked next
        return None

    def _of_alphabets(
        self, alphabets: range, gate: Gate, planned: Plan, deadline: float, trace: Trace
    ) -> Sequence[Row] | None:
        """Search the rows of some alphabets, and make sure that the index was whole where fewer than 50 are found.

        InnoDB empties its cache of new words a moment before what it synced to the index can be seen. So the words
        of alphabets that may have rows in the cache are read twice, and between them those of canary rows: if all of
        these are found, no row was missed (docs/search.md). If not, the search is repeated.
        """
        words = {alphabet: f"({planned.words(alphabet)})" for alphabet in alphabets}
        again = " ".join(words[alphabet] for alphabet in alphabets if gate.may_be_cached(alphabet))
        once = " ".join(words.values())
        for _ in range(SYNC_TRIES):
            canaries, connection = gate.canaries(), self._database.connections
            if not again or not canaries or time.monotonic() - self._gate_holds_since > SYNC_OVER:
                return self._read(_BY_WORDS, (once, planned.pattern), deadline, trace)
            if gate.lost >= min(canaries):
                break
            statement = _BY_WORDS_WITH_CANARIES.replace("{canaries}", ", ".join(map(str, canaries)))
            asked = f"{once} {' '.join(map(canary_word, canaries))} {again}"
            rows = self._read(statement, (planned.pattern, asked, planned.pattern), deadline, trace)
            parts = [row.partition("\x1f") for (row,) in rows]
            found = [(person,) for _, _, person in parts if person]
            whole = canaries <= {int(number) for number, _, _ in parts} and connection == self._database.connections
            if whole or len(found) >= LIMIT:
                return found
            time.sleep(SYNC_PAUSE)
            gate = self._read_gate()
        return None

    def _read_gate(self) -> Gate:
        numbers = self._database.read(GATE)[0][0]
        if (self._database.connections, numbers) != self._gate:
            self._gate, self._gate_holds_since = (self._database.connections, numbers), time.monotonic()
        return Gate(*map(int, numbers.split()))

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
