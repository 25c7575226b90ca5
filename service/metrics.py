"""The metrics of an instance: counters and histograms in memory that its processes share.

Each worker counts in its own region of the memory. The memory outlives a killed worker, and the worker that replaces
it continues. So no counter falls while the instance runs, and nothing that was counted is lost.

The names are those of OpenTelemetry's conventions for HTTP and databases, in the form of Prometheus.
"""

import mmap
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds, upper bounds

# A region has rows, and a row has one series: the values, the length of the series' name, and the name.
_ROW = 64  # doubles
_SUM = len(BUCKETS) + 1  # its place in a row, behind the counts of the buckets
_LENGTH = _SUM + 1
_NAME = slice(128, 8 * _ROW)  # bytes of a row; config.py bounds the addresses in names
_ROWS = 256
_REGION = _ROWS * _ROW * 8  # bytes
_SEPARATOR = "\x1f"

Values: TypeAlias = "memoryview[float]"


class _Region:
    """The memory of one worker."""

    def __init__(self, memory: memoryview) -> None:
        self._rows = [memory[start : start + 8 * _ROW] for start in range(0, _REGION, 8 * _ROW)]
        self._known = dict(self.read())

    def read(self) -> Iterator[tuple[str, Values]]:
        """Yield the name and the values of each series."""
        for row in self._rows:
            values = row.cast("d")
            if not values[_LENGTH]:
                return
            yield row[_NAME].tobytes()[: int(values[_LENGTH])].decode(), values

    def values(self, name: str) -> Values:
        """Return the values of a series, which a worker of the same number may have begun."""
        if name not in self._known:
            # A series too many is counted and not read, because a request must not fail for its metrics.
            row = self._rows[min(len(self._known), _ROWS - 1)]
            encoded = name.encode()
            row[_NAME][: len(encoded)] = encoded
            self._known[name] = row.cast("d")
            if len(self._known) < _ROWS:
                self._known[name][_LENGTH] = len(encoded)  # last: a worker that is killed before has begun no series
        return self._known[name]


class Counter:
    """A series that only grows."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def increment(self) -> None:
        """Count one event."""
        self._values[0] += 1


class Histogram:
    """A series of durations."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        values = self._values
        values[bisect_left(BUCKETS, seconds)] += 1
        values[_SUM] += seconds


Series = TypeVar("Series", bound=Counter | Histogram)


class Metric(Generic[Series]):
    """Series of one name, which differ in the values of their labels.

    `known` has the values that are known from the start: their series begin with 0, so that their first event is seen.
    A series may have values for the first of the labels only.
    """

    def __init__(
        self,
        kind: type[Series],
        name: str,
        description: str,
        labels: Sequence[str] = (),
        known: Sequence[Sequence[str]] = (),
    ) -> None:
        self.kind = kind
        self.name = name
        self.description = description
        self.label_names = labels
        self.known = known

    def labels(self, *values: str) -> Series:
        """Return the series with these values of the labels. Call it after `attach`, and keep what it returns."""
        return self.kind(_region.values(_SEPARATOR.join((self.name, *values))))


HTTP_REQUESTS = Metric(
    Histogram,
    "http_server_request_duration_seconds",
    "Time from the headers of a request to its answer, in the worker.",
    ("http_request_method", "http_route", "http_response_status_code"),
)
DATABASE_OPERATIONS = Metric(
    Histogram,
    "db_client_operation_duration_seconds",
    "Time of a statement. error_type is the number of MySQL's error, and empty without an error.",
    ("db_operation_name", "error_type", "server_address"),  # the last one: only of a member of a group
    [("INSERT", ""), ("SELECT", "")],
)
DATABASE_CONNECTIONS = Metric(
    Counter,
    "rinha_database_connections_total",
    "Attempts to connect to MySQL, the first one of each worker included.",
    ("outcome",),
    [("made",), ("failed",), ("busy",)],
)
DOUBTFUL_INSERTS = Metric(
    Counter,
    "rinha_doubtful_inserts_total",
    "INSERTs whose first reply was lost, by what the second attempt showed.",
    ("outcome",),
    [("stored_at_first",), ("stored_by_repetition",), ("taken",), ("unknown",)],
)
SEARCHES = Metric(
    Counter,
    "rinha_search_plans_total",
    "Searches that were answered, by what answered them.",
    ("plan",),
    [("full_text",), ("scan_first",), ("scan",), ("scan_as_last_resort",)],
)
SEARCH_REPEATS = Metric(
    Counter, "rinha_search_repeats_total", "Look-ups repeated because a sync may have hidden rows.", known=[()]
)
SEARCH_TIMEOUTS = Metric(Counter, "rinha_search_timeouts_total", "Searches that reached their time limit.", known=[()])
WORKER_STARTS = Metric(
    Counter, "rinha_worker_starts_total", "Starts of workers, the first one of each included.", known=[()]
)

METRICS: Sequence[Metric[Any]] = (
    HTTP_REQUESTS, DATABASE_OPERATIONS, DATABASE_CONNECTIONS, DOUBTFUL_INSERTS, SEARCHES, SEARCH_REPEATS,
    SEARCH_TIMEOUTS, WORKER_STARTS,
)  # fmt: skip

_region = _Region(memoryview(bytearray(_REGION)))


class SharedMetrics:
    """The memory for the metrics of an instance. Create it before the workers are forked."""

    def __init__(self, workers: int) -> None:
        self._memory = memoryview(mmap.mmap(-1, workers * _REGION))

    def attach(self, worker: int) -> None:
        """Let this process count as the worker of a number, counted from 0."""
        global _region  # noqa: PLW0603 - a process has one region, as it has one root logger
        _region = _Region(self._region(worker))
        for metric in METRICS:
            for values in metric.known:
                metric.labels(*values)

    def totals(self) -> dict[str, dict[tuple[str, ...], list[float]]]:
        """Return the values of all workers together, by the name of the metric and the values of the labels.

        A counter has one value. A histogram has the count of each bucket, and the sum.
        """
        totals: dict[str, dict[tuple[str, ...], list[float]]] = {metric.name: {} for metric in METRICS}
        for worker in range(len(self._memory) // _REGION):
            for series, values in _Region(self._region(worker)).read():
                name, *labels = series.split(_SEPARATOR)
                total = totals[name].setdefault(tuple(labels), [0.0] * _LENGTH)
                total[:] = map(sum, zip(total, values[:_LENGTH], strict=True))
        return totals

    def _region(self, worker: int) -> memoryview:
        return self._memory[worker * _REGION : (worker + 1) * _REGION]
