"""The statistics of a load run follow from Gatling's log and the samples of the components."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import statistics
from bench.statistics import Request, Run
from tests.support.load_run import RUN, START, USED

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(params=["3.9.5", "3.10.5"])
def captured(request: pytest.FixtureRequest) -> Run:
    with (SAMPLES / f"simulation-{request.param}.log").open(encoding="utf-8") as log:
        run = statistics.parse(log)
    assert run.gatling == request.param
    return run


def test_the_log_of_both_versions_is_read_whole(captured: Run) -> None:
    counts = {kind: (s.count, s.ko) for kind, s in statistics.summarise(captured.requests).items()}
    assert counts["create"] == (27, 7)
    assert counts["read"][0] == 20
    assert counts["search"][0] == 4
    assert counts["invalid search"] == (2, 0)
    assert list(counts) == ["create", "read", "search", "invalid search", "all"]
    assert counts["all"] == tuple(sum(pair) for pair in zip(*list(counts.values())[:-1], strict=True))


def test_errors_keep_the_messages_of_gatling(captured: Run) -> None:
    assert statistics.summarise(captured.requests)["create"].errors == {
        "status.find.in(201,422,400), but actually found 503": 3,
        "header(Location).find.exists, found nothing": 2,
        "j.i.IOException: Premature close": 2,
    }


def test_times_lie_within_the_run(captured: Run) -> None:
    assert 4 < captured.seconds < 7
    assert all(captured.start <= r.start <= r.end for r in captured.requests)


def test_a_log_cut_short_is_read_up_to_its_last_whole_line() -> None:
    whole = "RUN\trinha.RinhaSimulation\trinha\t1000\t \t3.9.5\nREQUEST\t\tcreate\t1001\t1003\tOK\t \n"
    assert statistics.parse((whole + "REQUEST\t\tcreate\t10").splitlines()).requests == [
        Request("create", 1001, 1003, True, "")
    ]


def test_an_error_of_the_generator_itself_counts_as_one() -> None:
    lines = ["RUN\trinha.RinhaSimulation\trinha\t1000\t \t3.9.5", "ERROR\tcreate: no attribute named payload\t1200"]
    assert statistics.summarise(statistics.parse(lines).requests)["load generator"].ko == 1


def test_a_file_that_is_no_log_of_gatling_is_refused() -> None:
    with pytest.raises(ValueError, match="no RUN line"):
        statistics.parse(["hello"])


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7], 50, 7),
        ([1, 2], 50, 1),
        ([1, 2, 3], 50, 2),
        (range(1, 101), 99, 99),
        (range(1, 101), 99.9, 100),
        (range(1, 1001), 99, 990),
        ([1, 2, 3], 0, 1),
        ([1, 2, 3], 100, 3),
    ],
)
def test_a_percentile_is_one_of_the_values(values: Sequence[int], percent: float, expected: int) -> None:
    assert statistics.percentile(values, percent) == expected


def test_latencies_are_of_the_ok_requests_only() -> None:
    summary = statistics.summarise(RUN.requests)
    assert summary["create"].latency == {"p50": 50, "p75": 75, "p95": 95, "p99": 99, "max": 100}
    assert summary["search"].latency == {}
    assert (summary["create"].count, summary["create"].ok, summary["create"].ko) == (101, 100, 1)


def total(counts: Sequence[float | None]) -> float:
    """Return the sum of a series of counts."""
    return sum(count or 0 for count in counts)


def test_the_timeline_adds_up_to_the_requests() -> None:
    moments, rates, latency, failed = statistics.timeline(RUN)
    assert moments == list(range(101))
    assert total(rates["create"]) == 101
    assert total(rates["KO"]) == total(failed["create"]) + total(failed["search"]) == 2
    assert failed["search"][60] == 1
    assert latency["p99"][0] is None
    assert latency["p99"][100] == 100


def test_a_long_run_is_drawn_in_at_most_241_steps() -> None:
    run = Run("3.9.5", START, [Request("create", START + 1000 * i, START + 1000 * i, True, "") for i in range(1_000)])
    moments, rates, _, _ = statistics.timeline(run)
    assert len(moments) <= 241
    assert rates["create"][0] == 1


def test_resources_are_cpu_seconds_and_peaks_of_each_component_and_all() -> None:
    assert statistics.resources(USED) == {
        "mysql": {"cpu_s": 2.0, "peak_mb": 503},
        "api1": {"cpu_s": 1.0, "peak_mb": 40},
        "all": {"cpu_s": 3.0, "peak_mb": 543},
    }


def test_the_time_line_of_resources_begins_with_the_run() -> None:
    moments, cpus, memory = statistics.resource_timeline(USED, START)
    assert moments == [0, 1, 2, 3]
    assert cpus == {"mysql": [0.5] * 4, "api1": [0.25] * 4}
    assert memory["mysql"] == [500, 501, 502, 503]


def test_a_component_that_was_restarted_or_is_absent_uses_no_negative_cpu() -> None:
    counters = [{"a": 5.0}, {"a": 1.0}, {}, {"a": 0.5}]
    samples = [
        {"t": t, "components": {name: {"cpu_s": cpu, "rss_mb": 1} for name, cpu in used.items()}}
        for t, used in enumerate(counters)
    ]
    assert statistics.resources(samples)["a"]["cpu_s"] == 0.5
