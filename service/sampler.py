"""Samples the table for the plans of searches."""

import contextlib
import heapq
import math
import random
import time

from service.database import Database
from service.errors import SearchTimeout
from service.search import Sample
from service.search_key import in_first_alphabet

CHECK_INTERVAL = 15  # seconds between two looks at the size of the table
RUN_LENGTH = 50  # neighbouring rows that a sample takes at each place
MAX_RANGES = 100  # of ids, into which the sampler divides the table

_COUNT = "SELECT pessoas FROM contagem"
_ENDS = "SELECT COALESCE(HEX(MIN(id)), 0), COALESCE(HEX(MAX(id)), 0) FROM pessoas"
# MySQL estimates the rows between two ids from the primary key. With FORCE INDEX MySQL would not look at the key.
_ESTIMATE = "EXPLAIN FORMAT = TRADITIONAL SELECT busca FROM pessoas WHERE id BETWEEN X%s AND X%s"
_ESTIMATE_COLUMN = 9
_RUN = f"(SELECT busca FROM pessoas WHERE id >= X%s LIMIT {RUN_LENGTH})"


class Sampler:
    """Keeps a sample, and replaces the sample when the table has grown or shrunk by a quarter."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sample = Sample()
        self._next_check = 0.0

    def sample(self) -> Sample:
        """Return the current sample; raise Unavailable if MySQL does not answer."""
        if time.monotonic() > self._next_check:
            self._next_check = time.monotonic() + CHECK_INTERVAL
            total = int(self._database.read(_COUNT)[0][0])
            if not 0.75 * self._sample.total <= total <= 1.25 * self._sample.total:
                with contextlib.suppress(SearchTimeout):  # the old sample stays in use
                    self._sample = self._take(total)
        return self._sample

    def _take(self, total: int) -> Sample:
        """Return a sample of approximately 1.3 times the square root of `total` rows."""
        ids = self._random_ids(math.ceil(1.3 * math.sqrt(total) / RUN_LENGTH), total)
        rows = self._database.read(" UNION ALL ".join([_RUN] * len(ids)), ids) if ids else []
        return Sample((in_first_alphabet(search_key) for (search_key,) in rows), total)

    def _random_ids(self, count: int, total: int) -> list[str]:
        """Return ids in hexadecimal that are random among the rows of the table.

        An id begins with the time of its creation. After a bulk load most rows may be of one hour, and the others of a
        year. So the range with the most rows is halved until no range has more than its share of the ids.
        """
        first, last = (int(end, 16) for end in self._database.read(_ENDS)[0])
        ranges = [(-total, first, last)]  # row count, negated for the heap; lowest and highest id
        while -ranges[0][0] * count > total and len(ranges) < MAX_RANGES:
            _, low, high = ranges[0]
            if low == high:
                break
            heapq.heappop(ranges)
            middle = (low + high) // 2
            for ends in ((low, middle), (middle + 1, high)):
                heapq.heappush(ranges, (-self._estimate_rows(*ends), *ends))
        weights = [max(-rows, 1) for rows, _, _ in ranges]
        chosen = random.choices(ranges, weights, k=count)  # noqa: S311
        return [f"{random.randint(low, high):032x}" for _, low, high in chosen]  # noqa: S311

    def _estimate_rows(self, low: int, high: int) -> int:
        """Return MySQL's estimate of the rows with an id from `low` to `high`."""
        (row,) = self._database.read(_ESTIMATE, (f"{low:032x}", f"{high:032x}"))
        return int(row[_ESTIMATE_COLUMN] or 0)
