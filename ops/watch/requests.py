"""The requests in nginx's access log: how many of each kind, with which statuses, and how fast."""

import re
from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple

from service.person import ENGLISH, OFFICIAL

CREATIONS, READS, SEARCHES, COUNTS, OTHERS = KINDS = ("creations", "reads", "searches", "counts", "others")
RATE_SECONDS = 2.0  # over which a rate is the mean
TIMES_SECONDS = 10.0  # whose requests the percentiles describe
PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}

_LINE = re.compile(
    rb'"method":"([A-Z_-]*)","uri":"([^"?\\]*).*?"status":"(\d+)".*?"seconds":"(\d+)\.(\d{3})"'
)  # of the format `json` in lb/nginx.conf
_READ_PREFIXES = tuple(f"{dialect.people}/".encode() for dialect in (OFFICIAL, ENGLISH))
_KINDS: dict[tuple[bytes, bytes], str] = {
    (method, path.encode()): kind
    for dialect in (OFFICIAL, ENGLISH)
    for method, path, kind in (
        (b"POST", dialect.people, CREATIONS),
        (b"GET", dialect.people, SEARCHES),
        (b"HEAD", dialect.people, SEARCHES),
        (b"GET", dialect.people_count, COUNTS),
        (b"HEAD", dialect.people_count, COUNTS),
    )
}


class Request(NamedTuple):
    """A request that nginx has answered: its kind, its HTTP status, and its duration in milliseconds."""

    kind: str
    status: int
    milliseconds: int


class KindNumbers(NamedTuple):
    """The requests of a kind.

    `total`, `statuses` and `slow` are since the first look; `per_second` and `times` (in milliseconds, none if no
    request came) are of the last seconds.
    """

    total: int
    statuses: dict[str, int]
    slow: int
    per_second: float
    times: dict[str, int]

    @property
    def errors(self) -> int:
        """The requests that were answered 500 or more, or not at all (nginx's 499)."""
        return self.statuses.get("5xx", 0) + self.statuses.get("499", 0)


def kind_of(method: bytes, path: bytes) -> str:
    """Return the kind of a request."""
    if kind := _KINDS.get((method, path)):
        return kind
    return READS if method in (b"GET", b"HEAD") and path.startswith(_READ_PREFIXES) else OTHERS


def requests_in(lines: bytes) -> Iterator[Request]:
    """Yield the requests of lines of the access log; other lines are left out."""
    for method, path, status, seconds, milliseconds in _LINE.findall(lines):
        yield Request(kind_of(method, path), int(status), int(seconds) * 1000 + int(milliseconds))


class RequestStatistics:
    """Counts requests, and remembers the durations of the last seconds."""

    def __init__(self, started: float, slow: int) -> None:
        """Count from the time `started` on. A request of `slow` milliseconds or more counts as slow."""
        self._started = started
        self._slow = slow
        self._totals: Counter[tuple[str, str]] = Counter()
        self._slow_totals: Counter[str] = Counter()
        self._recent: deque[tuple[float, Counter[tuple[str, int]]]] = deque()

    def add(self, lines: bytes, now: float) -> None:
        """Count the requests of lines that came until `now`."""
        durations: Counter[tuple[str, int]] = Counter()
        for (kind, status, milliseconds), number in Counter(requests_in(lines)).items():
            self._totals[kind, _status_class(status)] += number
            durations[kind, milliseconds] += number
            if milliseconds >= self._slow:
                self._slow_totals[kind] += number
        if durations:
            self._recent.append((now, durations))
        while self._recent and self._recent[0][0] <= now - TIMES_SECONDS:
            self._recent.popleft()

    def numbers(self, now: float) -> dict[str, KindNumbers]:
        """Return the numbers of each kind."""
        times: dict[str, Counter[int]] = {kind: Counter() for kind in KINDS}
        newest: Counter[str] = Counter()
        for at, durations in self._recent:
            for (kind, milliseconds), number in durations.items():
                times[kind][milliseconds] += number
                if at > now - RATE_SECONDS:
                    newest[kind] += number
        seconds = max(min(RATE_SECONDS, now - self._started), 0.001)
        return {kind: self._numbers(kind, newest[kind] / seconds, percentiles(times[kind])) for kind in KINDS}

    def _numbers(self, kind: str, per_second: float, times: dict[str, int]) -> KindNumbers:
        statuses = {status: number for (one, status), number in sorted(self._totals.items()) if one == kind}
        return KindNumbers(sum(statuses.values()), statuses, self._slow_totals[kind], round(per_second, 1), times)


def percentiles(durations: Counter[int]) -> dict[str, int]:
    """Return the percentiles of durations, by name; none if there are no durations."""
    found: dict[str, int] = {}
    total, seen = durations.total(), 0
    wanted = iter(PERCENTILES.items())
    name, share = next(wanted)
    for milliseconds, number in sorted(durations.items()):
        seen += number
        while name and seen >= share * total:
            found[name] = milliseconds
            name, share = next(wanted, ("", 0.0))
    return found


def _status_class(status: int) -> str:
    """Return the class of a status. 499 is nginx's word for a client that has gone."""
    return "499" if status == 499 else f"{status // 100}xx"
