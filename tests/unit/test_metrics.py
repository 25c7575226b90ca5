"""Metrics count in memory that outlives a worker; no count is lost or falls, and no request fails for its metrics."""

import os
from types import SimpleNamespace

import falcon.inspect
import pymysql
import pytest

from service import metrics
from service.app import create_app
from service.config import MAX_ADDRESS, Config
from service.database import Database
from service.errors import Unavailable
from service.exposition import create_metrics_app
from service.metrics import BUCKETS, HTTP_REQUESTS, METRICS, WORKER_STARTS, SharedMetrics
from tests.support.client import InProcess
from tests.support.metrics import Samples, parse_samples

REQUEST = ("GET", "/pessoas", "200")


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> SharedMetrics:
    """Return the metrics of an instance with two workers, of which this process is the first."""
    monkeypatch.setattr(metrics, "_region", metrics._region)  # the tests after this one count as before
    shared = SharedMetrics(2)
    shared.attach(0)
    return shared


def scraped(shared: SharedMetrics) -> Samples:
    """Return the samples that Prometheus would read."""
    return parse_samples(InProcess(create_metrics_app(shared)).request("GET", "/metrics").body.decode())


def test_the_metrics_are_those_of_all_workers_together(shared: SharedMetrics) -> None:
    WORKER_STARTS.labels().increment()
    HTTP_REQUESTS.labels(*REQUEST).observe(0.25)
    shared.attach(1)
    WORKER_STARTS.labels().increment()
    HTTP_REQUESTS.labels(*REQUEST).observe(0.5)

    samples = scraped(shared)

    assert samples["rinha_worker_starts_total"] == 2
    labels = "http_request_method=GET http_response_status_code=200 http_route=/pessoas"
    assert samples[f"http_server_request_duration_seconds_count {labels}"] == 2
    assert samples[f"http_server_request_duration_seconds_sum {labels}"] == 0.75


def test_a_worker_that_replaces_a_killed_one_continues(shared: SharedMetrics) -> None:
    """Each of the three workers begins its series in another order."""
    statuses = ("200", "404", "503")
    for first in range(3):
        pid = os.fork()
        if not pid:
            shared.attach(1)
            for status in statuses[first:] + statuses[:first]:
                for _ in range(int(status)):
                    HTTP_REQUESTS.labels("GET", "/pessoas", status).observe(0.001)
            os.kill(os.getpid(), 9)
        os.waitpid(pid, 0)

    counts = {series[2]: sum(values[:-1]) for series, values in shared.totals()[HTTP_REQUESTS.name].items()}
    assert counts == {status: 3 * int(status) for status in statuses}


def test_a_series_that_a_killed_worker_has_half_begun_is_not_read(shared: SharedMetrics) -> None:
    before = shared.totals()
    begun = shared._region(0)[len(metrics._region._known) * metrics._ROW * 8 :]
    begun[metrics._NAME][:4] = b"http"  # its length is written last

    assert shared.totals() == before
    WORKER_STARTS.labels().increment()
    HTTP_REQUESTS.labels(*REQUEST).observe(1)
    assert list(shared.totals()[HTTP_REQUESTS.name]) == [REQUEST]


@pytest.mark.parametrize(("seconds", "bucket"), [(0, 0), *((bound, at) for at, bound in enumerate(BUCKETS)), (99, -1)])
def test_a_duration_is_in_the_first_bucket_whose_bound_is_not_below(
    shared: SharedMetrics, seconds: float, bucket: int
) -> None:
    HTTP_REQUESTS.labels(*REQUEST).observe(seconds)

    *counts, total = shared.totals()[HTTP_REQUESTS.name][REQUEST]
    assert counts[bucket] == sum(counts) == 1
    assert total == seconds


def test_histograms_start_at_half_a_millisecond_and_their_buckets_accumulate(shared: SharedMetrics) -> None:
    for seconds in (0.0004, 0.002, 60):
        HTTP_REQUESTS.labels(*REQUEST).observe(seconds)

    samples = scraped(shared)

    labels = "http_request_method=GET http_response_status_code=200 http_route=/pessoas"
    buckets = [samples[f"http_server_request_duration_seconds_bucket {labels} le={bound}"] for bound in
               (0.0005, 0.001, 0.0025, 2.5, "+Inf")]  # fmt: skip
    assert buckets == [1, 1, 2, 2, 3]


def test_every_series_that_is_known_from_the_start_begins_with_zero(shared: SharedMetrics) -> None:
    totals = shared.totals()

    for metric in METRICS:
        assert {tuple(values) for values in metric.known} == set(totals[metric.name])
        labels = [name for name in metric.label_names if name != "server_address"]  # only of a member of a group
        assert all(len(values) == len(labels) for values in metric.known)
        assert not any(map(any, totals[metric.name].values()))


def test_more_series_than_the_memory_has_fail_no_request_and_change_no_other(shared: SharedMetrics) -> None:
    for number in range(2000):
        HTTP_REQUESTS.labels("GET", "/pessoas", str(number)).observe(0.1)
    WORKER_STARTS.labels().increment()

    totals = shared.totals()

    assert len(totals[HTTP_REQUESTS.name]) > 200
    assert all(sum(values[:-1]) == 1 for values in totals[HTTP_REQUESTS.name].values())
    assert totals[WORKER_STARTS.name] == {(): [1, *[0] * (len(BUCKETS) + 1)]}


def test_the_name_of_every_series_of_the_application_fits(shared: SharedMetrics) -> None:
    app = falcon.inspect.inspect_app(create_app(None))  # type: ignore[arg-type]
    for route in app.routes:
        HTTP_REQUESTS.labels("CONNECT", route.path, "503").observe(0)

    assert {series[1] for series in shared.totals()[HTTP_REQUESTS.name]} == {route.path for route in app.routes}


@pytest.mark.parametrize(
    ("hosts", "labels"),
    [
        ("", "db_operation_name=SELECT error_type="),
        ("b" * MAX_ADDRESS, f"db_operation_name=SELECT error_type= server_address={'b' * MAX_ADDRESS}"),
    ],
    ids=["single", "member"],
)
def test_the_statements_on_members_of_a_group_are_told_apart_and_those_on_one_server_are_not(
    shared: SharedMetrics, monkeypatch: pytest.MonkeyPatch, hosts: str, labels: str
) -> None:
    """The longest address fits, and so does the longest error."""
    cursor = SimpleNamespace(execute=lambda statement, values: None, fetchall=lambda: [])
    connection = SimpleNamespace(cursor=lambda: cursor)
    monkeypatch.setattr(
        "service.database.PersistentDB.connection", lambda pool: SimpleNamespace(dbapi_connection=connection)
    )
    database = Database(Config(db_password="x", db_hosts=hosts, metrics_listen="127.0.0.1:1"))

    database.read("SELECT 1")

    assert scraped(shared)[f"db_client_operation_duration_seconds_count {labels}"] == 1
    cursor.execute = _fail
    database._cursor = None
    with pytest.raises(Unavailable):
        database.read("SELECT 1")
    failed = labels.replace("error_type=", "error_type=unknown")
    assert scraped(shared)[f"db_client_operation_duration_seconds_count {failed}"] == 1


def _fail(statement: str, values: object) -> None:
    raise pymysql.InternalError


def test_requests_are_counted_by_method_route_and_status(shared: SharedMetrics) -> None:
    client = InProcess(create_app(None, has_metrics=True))  # type: ignore[arg-type]
    for method, path in [
        ("GET", "/health/live"), ("GET", "/health/live"), ("HEAD", "/health/live"), ("PUT", "/pessoas"),
        ("GET", "/pessoas"), ("GET", "/nowhere"), ("GET", "/elsewhere"), ("GET", "/pessoas/not-an-id"),
    ]:  # fmt: skip
        client.request(method, path)
    client.request("POST", "/users", b"[]")

    counts = {series: sum(values[:-1]) for series, values in shared.totals()[HTTP_REQUESTS.name].items()}

    assert counts == {
        ("GET", "/health/live", "200"): 2,
        ("HEAD", "/health/live", "200"): 1,
        ("PUT", "/pessoas", "405"): 1,
        ("GET", "/pessoas", "400"): 1,
        ("GET", "", "404"): 2,
        ("GET", "/pessoas/{identifier}", "404"): 1,
        ("POST", "/users", "400"): 1,
    }


def test_an_application_without_metrics_counts_no_request(shared: SharedMetrics) -> None:
    InProcess(create_app(None)).request("GET", "/health/live")  # type: ignore[arg-type]

    assert shared.totals()[HTTP_REQUESTS.name] == {}
