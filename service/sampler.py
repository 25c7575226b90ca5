"""Takes a sample of the table, from which the plans of searches are made."""

import contextlib
import heapq
import math
import random
import time

from service.database import Database
from service.errors import TookTooLong
from service.letters import as_first
from service.search import Sample

HOLDS = 15  # seconds after which the table is looked at again
RUN = 50  # neighbouring rows that a sample takes from each place
MOST_PARTS = 100  # into which the table is divided for that

_TOTAL = "SELECT pessoas FROM contagem"
_ENDS = "SELECT COALESCE(HEX(MIN(id)), 0), COALESCE(HEX(MAX(id)), 0) FROM pessoas"
# MySQL looks into the index and tells how many rows lie between two ids, about; with FORCE INDEX it would not look.
_ROWS = "EXPLAIN FORMAT = TRADITIONAL SELECT busca FROM pessoas WHERE id BETWEEN X%s AND X%s"
_ROWS_COLUMN = 9
_FROM = f"(SELECT busca FROM pessoas WHERE id >= X%s LIMIT {RUN})"


class Sampler:
    """Keeps a sample that is never older than a quarter of the table. `sample` raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sample = Sample()
        self._holds_until = 0.0

    def sample(self) -> Sample:
        """Return a sample of the table, a new one if the table has grown by a quarter since."""
        if time.monotonic() > self._holds_until:
            self._holds_until = time.monotonic() + HOLDS
            total = int(self._database.read(_TOTAL)[0][0])
            if not 0.75 * self._sample.total <= total <= 1.25 * self._sample.total:
                with contextlib.suppress(TookTooLong):  # then the old one must do for now
                    self._sample = self._take(total)
        return self._sample

    def _take(self, total: int) -> Sample:
        places = self._places(math.ceil(1.3 * math.sqrt(total) / RUN), total)
        rows = self._database.read(" UNION ALL ".join([_FROM] * len(places)), places) if places else []
        return Sample((as_first(column) for (column,) in rows), total)

    def _places(self, count: int, total: int) -> list[str]:
        """Return random ids that lie anywhere among the rows of the table.

        Ids begin with the time. Most of the rows may be of one hour, as after a load, and the others of a year: so the
        part of the ids with most rows is halved until none has more than one of the ids that are wanted.
        """
        first, last = (int(end, 16) for end in self._database.read(_ENDS)[0])
        parts = [(-total, first, last)]  # of ids: the rows there, negative for the heap
        while -parts[0][0] * count > total and len(parts) < MOST_PARTS:
            _, low, high = parts[0]
            if low == high:
                break
            heapq.heappop(parts)
            middle = (low + high) // 2
            for ends in ((low, middle), (middle + 1, high)):
                heapq.heappush(parts, (-self._rows(*ends), *ends))
        weights = [max(-rows, 1) for rows, _, _ in parts]
        chosen = random.choices(parts, weights, k=count)  # noqa: S311
        return [f"{random.randint(low, high):032x}" for _, low, high in chosen]  # noqa: S311

    def _rows(self, low: int, high: int) -> int:
        """Return about how many rows have an id between two."""
        (row,) = self._database.read(_ROWS, (f"{low:032x}", f"{high:032x}"))
        return int(row[_ROWS_COLUMN] or 0)
