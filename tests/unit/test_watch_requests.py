"""The requests of nginx's access log are counted by kind, status and duration."""

from collections import Counter

import pytest

from ops.watch.requests import KINDS, RATE_SECONDS, TIMES_SECONDS, RequestStatistics, kind_of, percentiles, requests_in


def line(method: str = "GET", uri: str = "/pessoas?t=ana", status: int = 200, seconds: str = "0.003") -> bytes:
    return (
        '{"time":"2026-11-28T07:05:29+00:00","request_id":"72cf","client":"127.0.0.1",'
        f'"method":"{method}","uri":"{uri}","status":"{status}","bytes":"139",'
        f'"seconds":"{seconds}","upstream":"unix:/run/rinha/api1.1.sock","upstream_seconds":"{seconds}"}}\n'
    ).encode()


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/pessoas", "creations"), ("POST", "/users", "creations"),
        ("GET", "/pessoas", "searches"), ("HEAD", "/users", "searches"),
        ("GET", "/pessoas/1", "reads"), ("HEAD", "/users/1", "reads"),
        ("GET", "/contagem-pessoas", "counts"), ("GET", "/users-count", "counts"),
        ("POST", "/pessoas/1", "others"), ("M-SEARCH", "/pessoas", "others"), ("DELETE", "/pessoas", "others"),
        ("GET", "/", "others"), ("", "", "others"),
    ],
)  # fmt: skip
def test_a_request_has_a_kind_by_method_and_path(method: str, path: str, kind: str) -> None:
    assert kind_of(method.encode(), path.encode()) == kind
    assert [one.kind for one in requests_in(line(method, path))] == [kind]


@pytest.mark.parametrize("uri", ['/pessoas?t=\\"status\\":\\"999\\"', "/pessoas?t=%22", "/pessoas?\\\\", "/pessoas"])
def test_a_term_cannot_pretend_to_be_another_field(uri: str) -> None:
    assert list(requests_in(line(uri=uri, seconds="1.234"))) == [("searches", 200, 1234)]


def test_lines_that_are_no_requests_are_left_out() -> None:
    assert list(requests_in(b"\n{}\nnonsense\n" + line() + line()[10:50] + b"\n")) == [("searches", 200, 3)]


def test_requests_are_counted_by_status_and_slowness() -> None:
    statistics = RequestStatistics(100.0, slow=100)
    for status, seconds in ((200, "0.099"), (200, "0.100"), (422, "0.001"), (503, "2.000"), (499, "0.000")):
        statistics.add(line(status=status, seconds=seconds), 101.0)

    numbers = statistics.numbers(101.0)

    assert set(numbers) == set(KINDS)
    searches = numbers["searches"]
    assert (searches.total, searches.slow, searches.errors) == (5, 2, 2)
    assert searches.statuses == {"2xx": 2, "4xx": 1, "499": 1, "5xx": 1}
    assert searches.per_second == 5.0
    assert (numbers["reads"].total, numbers["reads"].times, numbers["reads"].per_second) == (0, {}, 0.0)


def test_rates_and_times_are_of_the_last_seconds_and_totals_of_all() -> None:
    statistics = RequestStatistics(0.0, slow=100)
    statistics.add(line(seconds="5.000") * 10, 100.0)
    later = 100.0 + RATE_SECONDS
    statistics.add(line() * 4, later)

    searches = statistics.numbers(later)["searches"]
    assert (searches.total, searches.per_second, searches.times["max"]) == (14, 4 / RATE_SECONDS, 5000)

    statistics.add(b"", 100.0 + TIMES_SECONDS)
    searches = statistics.numbers(100.0 + TIMES_SECONDS)["searches"]
    assert (searches.total, searches.per_second, searches.times["max"]) == (14, 0.0, 3)


def test_percentiles_are_durations_that_occurred() -> None:
    assert percentiles(Counter()) == {}
    assert percentiles(Counter({7: 1})) == {"p50": 7, "p95": 7, "p99": 7, "max": 7}
    assert percentiles(Counter(range(1, 101))) == {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert percentiles(Counter({1: 98, 50: 1, 900: 1})) == {"p50": 1, "p95": 1, "p99": 50, "max": 900}
