"""What Prometheus sees of a stack while something happens to it."""

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import dropwhile
from types import TracebackType
from typing import Literal, NamedTuple, Self

from tests.support.board import DISK_FULL, OPEN_TRANSACTION
from tests.support.client import OverTheWire
from tests.support.metrics import Samples, scrape
from tests.support.polling import wait_until

INTERVAL = 0.1  # seconds between two scrapes
ADDRESSES = {"api1": "/metrics/api1", "api2": "/metrics/api2", "nginx": "/nginx"}
NGINX_REQUESTS = "nginx_http_requests_total"  # as nginx' exporter names the third number of stub_status


class Sign(NamedTuple):
    """A series that rises, or that begins with a smaller value again. `series` is a pattern of its name and labels."""

    series: str
    change: Literal["rises", "begins again"]


class Silence(NamedTuple):
    """An address, by its label `instance`, that does not answer: `up` is 0."""

    instance: str


_CREATION_FAILS = Sign(r"http_server_request_duration_seconds_count .*method=POST .*status_code=503", "rises")
_INSTANCES_BEGIN_AGAIN: tuple[Sign | Silence, ...] = tuple(
    Sign(f"{instance} http_server_request_duration_seconds_count", "begins again") for instance in ("api1", "api2")
)
_ALL_BEGIN_AGAIN = (Silence("api1"), Silence("api2"), Silence("nginx"), *_INSTANCES_BEGIN_AGAIN)

# The signs of each fault. docs/operations.md tells what they mean.
SIGNS: dict[str, tuple[Sign | Silence, ...]] = {
    "kill a worker": (Sign("rinha_worker_starts_total", "rises"),),
    "kill an instance": (Sign("http_server_request_duration_seconds_count", "begins again"),),
    "kill nginx": (Sign(NGINX_REQUESTS, "begins again"),),
    "kill MySQL": (Sign("rinha_database_connections_total outcome=failed", "rises"), _CREATION_FAILS),
    "stop MySQL (SIGSTOP)": (
        Sign(r"db_client_operation_duration_seconds_count .*error_type=2013", "rises"),
        Sign("rinha_database_connections_total outcome=failed", "rises"),
        _CREATION_FAILS,
    ),
    "kill everything": _ALL_BEGIN_AGAIN,
    "down and up": _ALL_BEGIN_AGAIN,
    "restart both instances": _INSTANCES_BEGIN_AGAIN,
    DISK_FULL: (
        Sign("db_client_operation_duration_seconds_count .*name=INSERT error_type=1290", "rises"),
        _CREATION_FAILS,
    ),
    OPEN_TRANSACTION: (  # the service gives up before MySQL does
        Sign("db_client_operation_duration_seconds_count .*name=INSERT error_type=2013", "rises"),
        Sign("rinha_doubtful_inserts_total outcome=unknown", "rises"),
        _CREATION_FAILS,
    ),
}


class RecordedMetrics:
    """The answers to scrapes of a stack, for as long as a context lasts."""

    def __init__(self, port: int) -> None:
        self._client = OverTheWire(port, timeout=1)
        self._scrapes: list[dict[str, Samples | None]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._record)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._scrapes and None not in self._scrapes[-1].values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def wait_for(self, sign: Sign | Silence) -> None:
        """Wait until the scrapes have had a sign."""
        wait_until(lambda: self._has(sign), 30, lambda: f"{sign} in {self._scrapes[-1:]}")

    def _has(self, sign: Sign | Silence) -> bool:
        scrapes = list(dropwhile(lambda one: None in one.values(), list(self._scrapes)))
        if isinstance(sign, Silence):
            return any(one[sign.instance] is None for one in scrapes)
        values: dict[str, float] = dict(_series(scrapes[0], sign))
        for one in scrapes[1:]:
            for name, value in _series(one, sign):
                before, values[name] = values.get(name, 0.0), value
                if value > before if sign.change == "rises" else value < before:
                    return True
        return False

    def _record(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._scrapes.append({instance: self._samples(instance) for instance in ADDRESSES})

    def _samples(self, instance: str) -> Samples | None:
        with suppress(OSError, AssertionError):
            if instance == "nginx":
                answer = self._client.request("GET", ADDRESSES[instance])
                return {NGINX_REQUESTS: float(answer.body.split()[9])}
            return scrape(self._client, ADDRESSES[instance])
        return None


def _series(scraped: dict[str, Samples | None], sign: Sign) -> Iterator[tuple[str, float]]:
    """Yield the series of a sign, with their values."""
    for instance, samples in scraped.items():
        for name, value in (samples or {}).items():
            if re.search(sign.series, f"{instance} {name}"):
                yield f"{instance} {name}", value
