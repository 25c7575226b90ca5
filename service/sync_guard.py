"""Searches the full-text index so that a sync of InnoDB's cache hides no match.

InnoDB keeps the n-grams of new rows in a cache. A sync moves them to the index: InnoDB empties the cache a moment
before the moved rows become visible in the index. A search in that moment would miss them.

The guard therefore evaluates `(term) (canaries) (term)` for alphabets whose rows may be in the cache. If it finds all
canary rows between the two evaluations, no match was missed. docs/search.md has the proof.
"""

import contextlib
import time
from collections.abc import Sequence
from typing import NamedTuple

from service.database import Database, ResultCacheExceeded, Row
from service.gate import CANARY_DISTANCES, SELECT_GATE, Gate
from service.metrics import SEARCH_REPEATS
from service.search import LIMIT, SearchPlan
from service.search_key import canary_key
from service.statements import CONTAINS, PERSON
from service.timed_reader import TimedReader

QUIET_PERIOD = 60  # seconds without a write, after which the last sync has ended
GATE_VALIDITY = 0.005  # seconds, much less than a sync writes before it empties the cache
MAX_NEW_CODES = 9000  # since the gate was read; with more, all canary rows may be of a later sync (docs/search.md)
SYNC_PAUSE = 0.005  # seconds, in which InnoDB usually commits a sync
MAX_ATTEMPTS = 20  # after which a scan answers, which needs no index

_CANARY = "marca & 0xFFFFFFFF"
_BY_NGRAMS = (
    f"SELECT {{hint}} {PERSON} FROM pessoas "
    f"WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND {CONTAINS} LIMIT {LIMIT}"
)
_BY_NGRAMS_WITH_CANARIES = (
    f"SELECT {{hint}} CONCAT_WS(CHAR(31 USING utf8mb4), {_CANARY}, {{search_key}}, IF({CONTAINS}, {PERSON}, NULL)) "
    f"FROM pessoas WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND ({CONTAINS} OR {_CANARY} IN ({{canaries}})) "
    f"LIMIT {LIMIT + len(CANARY_DISTANCES)}"
)


class _Expression(NamedTuple):
    """The match expression for some alphabets, and for those of them whose rows may be in InnoDB's cache."""

    all: str
    cached: str
    has_several_cached: bool


class SyncGuard:
    """Looks up n-grams, and repeats a look-up during which a sync may have hidden rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last_gate: tuple[int, str] = (0, "")
        self._unchanged_since = 0.0
        self._read_at = 0.0

    def read_gate(self) -> Gate:
        """Return what the gate counts now; raise Unavailable if MySQL does not answer."""
        self._read_at = time.monotonic()
        counts = self._database.read(SELECT_GATE)[0][0]
        if (self._database.connections, counts) != self._last_gate:
            self._last_gate, self._unchanged_since = (self._database.connections, counts), time.monotonic()
        return Gate(*map(int, counts.split()))

    def search(self, plan: SearchPlan, alphabets: range, gate: Gate, reader: TimedReader) -> Sequence[Row] | None:
        """Return rows of some alphabets that match, all of them if there are fewer than 50; None if it cannot.

        A search that needs too much memory is repeated with one n-gram at a time. The sample tells how frequent an
        n-gram is in the whole table, and one alphabet may have most of its rows.
        """
        single = [plan._replace(ngrams=(ngram,)) for ngram in plan.ngrams] if len(plan.ngrams) > 1 else []
        for attempt in (plan, *single):
            with contextlib.suppress(ResultCacheExceeded):
                return self._search_guarded(attempt, alphabets, gate, reader)
            gate = self.read_gate()  # for the newest canary row
        return None

    def _search_guarded(
        self, plan: SearchPlan, alphabets: range, gate: Gate, reader: TimedReader
    ) -> Sequence[Row] | None:
        expressions = {alphabet: f"({plan.match_expression(alphabet)})" for alphabet in alphabets}
        cached = [expressions[alphabet] for alphabet in alphabets if gate.may_be_cached(alphabet)]
        expression = _Expression(" ".join(expressions.values()), " ".join(cached), len(cached) > 1)
        for _ in range(MAX_ATTEMPTS):
            connection, canaries = self._database.connections, gate.canaries()
            if not expression.cached or not canaries or self._was_quiet():
                rows = reader.read(_BY_NGRAMS, (expression.all, plan.pattern))
                is_complete = not expression.cached or self._is_current(gate, 1)
            elif gate.newest_lost_canary < min(canaries):
                rows, found = self._search_with_canaries(expression, plan.pattern, canaries, reader)
                if expression.has_several_cached and any(map(plan.may_match, found.values())):
                    return self._search_singly(plan, alphabets, reader)
                is_complete = canaries <= found.keys() and self._is_current(gate, MAX_NEW_CODES)
            else:
                return None
            if (is_complete and connection == self._database.connections) or len(rows) >= LIMIT:
                return rows
            SEARCH_REPEATS.labels().increment()
            time.sleep(SYNC_PAUSE)
            gate = self.read_gate()
        return None

    def _search_with_canaries(
        self, expression: _Expression, pattern: str, canaries: set[int], reader: TimedReader
    ) -> tuple[Sequence[Row], dict[int, str]]:
        """Return the rows that match, and the search keys of the canary rows found (empty for one alphabet)."""
        statement = _BY_NGRAMS_WITH_CANARIES.replace("{canaries}", ", ".join(map(str, canaries)))
        statement = statement.replace("{search_key}", "busca" if expression.has_several_cached else "''")
        against = f"{expression.all} {' '.join(map(canary_key, canaries))} {expression.cached}"
        rows, found = list[Row](), dict[int, str]()
        for (row,) in reader.read(statement, (pattern, against, pattern)):
            number, search_key, *person = row.split("\x1f", 2)  # a row that does not match has no person
            rows += [(text,) for text in person if text]
            if int(number) in canaries:
                found[int(number)] = search_key
        return rows, found

    def _search_singly(self, plan: SearchPlan, alphabets: range, reader: TimedReader) -> Sequence[Row] | None:
        """Search one alphabet after the other; return as `search` does.

        A canary row that has the n-grams itself may be found with the rows of its own alphabet, outside the moment
        that it stands for. Rows of another alphabet may be hidden in that moment.
        """
        rows: list[Row] = []
        for alphabet in alphabets:
            found = self._search_guarded(plan, range(alphabet, alphabet + 1), self.read_gate(), reader)
            if found is None:
                return None
            rows += found
        return rows

    def _is_current(self, gate: Gate, new_codes: int) -> bool:
        """Return whether fewer than `new_codes` codes came since `gate`, the newest gate, was read.

        Within GATE_VALIDITY this needs no look: a sync does not begin and empty the cache in that time.
        """
        is_young = time.monotonic() - self._read_at < GATE_VALIDITY
        return is_young or self.read_gate().codes - gate.codes < new_codes

    def _was_quiet(self) -> bool:
        """Return whether, when the gate was read, nothing had been written for so long that no sync went on."""
        return self._read_at - self._unchanged_since > QUIET_PERIOD
