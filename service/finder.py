"""Finds the rows that contain a term: by a table scan, by the full-text index, or by both in turn."""

import contextlib
import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from service.database import Database, Row
from service.errors import SearchTimeout
from service.metrics import SEARCHES
from service.person import has_control_character
from service.sampler import Sampler
from service.search import LIMIT, SearchPlan, plan_search
from service.search_key import Collation
from service.statements import CONTAINS, PERSON
from service.sync_guard import SyncGuard
from service.timed_reader import TimedReader, Trace

BATCH_POSTINGS = 20_000  # that one statement reads, approximately: 15 ms
MAX_ALPHABETS = 12  # in one statement; MySQL accepts approximately thirty pairs of parentheses

SCAN = f"SELECT {{hint}} {PERSON} FROM pessoas WHERE {CONTAINS} LIMIT {LIMIT}"


class Finder:
    """Finds rows, each as one column `PERSON`. Every method raises Unavailable if MySQL does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collation = Collation(database)
        self._sampler = Sampler(database)
        self._guard = SyncGuard(database)

    def find(self, term: str, trace: Trace = lambda step: None) -> Sequence[Row]:
        """Return at most 50 rows that contain `term` in a field, all of them if there are fewer.

        Raises SearchTimeout at the time limit. `trace` receives each statement that is executed for the term.
        """
        if has_control_character(term):  # no field contains one; the text that joins the fields does
            return []
        self._database.wait_for_group()
        plan = self.plan(term)
        reader = TimedReader(self._database, trace)
        if plan.scan_first and plan.ngrams:
            with contextlib.suppress(SearchTimeout):
                rows = reader.read(SCAN, (plan.pattern,), time.monotonic() + plan.full_text_ms / 1000)
                SEARCHES.labels("scan_first").increment()
                return rows
        if plan.ngrams and (found := self._search_index(plan, reader)) is not None:
            SEARCHES.labels("full_text").increment()
            return found
        rows = reader.read(SCAN, (plan.pattern,))
        SEARCHES.labels("scan_as_last_resort" if plan.ngrams else "scan").increment()
        return rows

    def plan(self, term: str) -> SearchPlan:
        """Return how `find` would find `term`."""
        return plan_search(term, self._collation.weights, self._sampler.sample())

    def _search_index(self, plan: SearchPlan, reader: TimedReader) -> Sequence[Row] | None:
        """Search by full text, from the oldest alphabet to the newest, until 50 rows match; None if it cannot.

        A statement reads the posting lists of as many alphabets as have `BATCH_POSTINGS`, and of at least one.
        """
        found: dict[Row, None] = {}  # a row that is changed meanwhile gets the newest alphabet, and is found twice
        gate, first = self._guard.read_gate(), 0
        while len(found) < LIMIT and first <= gate.newest_alphabet:
            postings = [
                plan.postings_per_row * gate.rows(alphabet) for alphabet in range(first, gate.newest_alphabet + 1)
            ]
            count = bisect_right(list(accumulate(postings[:MAX_ALPHABETS])), BATCH_POSTINGS) or 1
            rows = self._guard.search(plan, range(first, first + count), gate, reader)
            if rows is None:
                return None
            found.update(dict.fromkeys(rows))
            first += count
            if first <= gate.newest_alphabet:
                gate = self._guard.read_gate()
        return list(found)[:LIMIT]
