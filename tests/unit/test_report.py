"""A load run's report says what Gatling's log, the samples and the facts say."""

import json
import re
from pathlib import Path

import pytest

from bench import report, statistics
from bench.charts import chart
from bench.report import Facts
from bench.statistics import Request, Run

SAMPLES = Path(__file__).parent / "samples"
START = 1_700_000_000_000
RUN = Run(
    "3.9.5",
    START,
    [
        *(Request("create", START + 1000 * i, START + 1000 * i + i, True, "") for i in range(1, 101)),
        Request("search", START + 500, START + 60_500, False, "Request timeout <60 s>"),
        Request("create", START + 700, START + 720, False, "Premature close"),
    ],
)
FACTS = Facts(
    rows=41,
    maximum=42,
    audit="41 people & their ids read back",
    audit_passed=True,
    machine="two <small> cores",
    commit="abc1234",
    seed=7,
    versions={"MySQL": "9.7.4", "nginx": "1.28"},
    limits={"CPU": 0.75, "MB": 1536},
    settings={"dialect": "english"},
)
USED = [
    {
        "t": START / 1000 + t,
        "components": {"mysql": {"cpu_s": 10 + t / 2, "rss_mb": 500 + t}, "api1": {"cpu_s": t / 4, "rss_mb": 40}},
    }
    for t in range(-1, 4)
]


@pytest.fixture(params=["3.9.5", "3.10.5"])
def captured(request) -> Run:
    with (SAMPLES / f"simulation-{request.param}.log").open(encoding="utf-8") as log:
        run = statistics.parse(log)
    assert run.gatling == request.param
    return run


def test_the_log_of_both_versions_is_read_whole(captured):
    counts = {kind: (s.count, s.ko) for kind, s in statistics.summarise(captured.requests).items()}
    assert counts["create"] == (27, 7)
    assert counts["read"][0] == 20
    assert counts["search"][0] == 4
    assert counts["invalid search"] == (2, 0)
    assert list(counts) == ["create", "read", "search", "invalid search", "all"]
    assert counts["all"] == tuple(sum(pair) for pair in zip(*list(counts.values())[:-1], strict=True))


def test_errors_keep_the_words_of_gatling(captured):
    assert statistics.summarise(captured.requests)["create"].errors == {
        "status.find.in(201,422,400), but actually found 503": 3,
        "header(Location).find.exists, found nothing": 2,
        "j.i.IOException: Premature close": 2,
    }


def test_times_lie_within_the_run(captured):
    assert 4 < captured.seconds < 7
    assert all(captured.start <= r.start <= r.end for r in captured.requests)


def test_a_log_cut_short_is_read_up_to_its_last_whole_line():
    whole = "RUN\trinha.RinhaSimulation\trinha\t1000\t \t3.9.5\nREQUEST\t\tcreate\t1001\t1003\tOK\t \n"
    assert statistics.parse((whole + "REQUEST\t\tcreate\t10").splitlines()).requests == [
        Request("create", 1001, 1003, True, "")
    ]


def test_an_error_of_the_generator_itself_counts_as_one():
    lines = ["RUN\trinha.RinhaSimulation\trinha\t1000\t \t3.9.5", "ERROR\tcreate: no attribute named payload\t1200"]
    assert statistics.summarise(statistics.parse(lines).requests)["load generator"].ko == 1


def test_what_is_no_log_of_gatling_is_refused():
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
def test_a_percentile_is_one_of_the_values(values, percent, expected):
    assert statistics.percentile(values, percent) == expected


def test_latencies_are_of_the_ok_requests_only():
    summary = statistics.summarise(RUN.requests)
    assert summary["create"].latency == {"p50": 50, "p75": 75, "p95": 95, "p99": 99, "max": 100}
    assert summary["search"].latency == {}
    assert (summary["create"].count, summary["create"].ok, summary["create"].ko) == (101, 100, 1)


def test_the_timeline_adds_up_to_the_requests():
    moments, rates, latency, failed = statistics.timeline(RUN)
    assert moments == list(range(101))
    assert sum(rates["create"]) == 101
    assert sum(rates["KO"]) == sum(failed["create"]) + sum(failed["search"]) == 2
    assert failed["search"][60] == 1
    assert latency["p99"][0] is None
    assert latency["p99"][100] == 100


def test_a_long_run_is_drawn_in_at_most_241_steps():
    run = Run("3.9.5", START, [Request("create", START + 1000 * i, START + 1000 * i, True, "") for i in range(1_000)])
    moments, rates, _, _ = statistics.timeline(run)
    assert len(moments) <= 241
    assert rates["create"][0] == 1


def test_resources_are_cpu_seconds_and_peaks_of_each_part_and_all():
    assert statistics.resources(USED) == {
        "mysql": {"cpu_s": 2.0, "peak_mb": 503},
        "api1": {"cpu_s": 1.0, "peak_mb": 40},
        "all": {"cpu_s": 3.0, "peak_mb": 543},
    }


def test_usage_begins_with_the_run():
    moments, cpus, memory = statistics.resource_timeline(USED, START)
    assert moments == [0, 1, 2, 3]
    assert cpus == {"mysql": [0.5] * 4, "api1": [0.25] * 4}
    assert memory["mysql"] == [500, 501, 502, 503]


def test_a_part_that_was_restarted_or_is_away_uses_no_negative_cpu():
    counters = [{"a": 5.0}, {"a": 1.0}, {}, {"a": 0.5}]
    samples = [
        {"t": t, "components": {p: {"cpu_s": c, "rss_mb": 1} for p, c in part.items()}}
        for t, part in enumerate(counters)
    ]
    assert statistics.resources(samples)["a"]["cpu_s"] == 0.5


def test_the_terminal_report_tells_every_fact():
    text = report.text(RUN, USED, FACTS)
    for fact in (
        "41 of 42 people stored: 1 missing",
        "audit: 41 people & their ids read back",
        "machine: two <small> cores",
        "limits: 0.75 CPU, 1,536 MB",
        "versions: MySQL 9.7.4, nginx 1.28, Gatling 3.9.5",
        "commit: abc1234",
        "seed: 7",
        "dialect: english",
        "search: Request timeout <60 s>",
    ):
        assert fact in text
    assert re.search(r"^create +101 +100 +1 +50 +75 +95 +99 +100$", text, re.MULTILINE)
    assert re.search(r"^mysql +2.0 +503$", text, re.MULTILINE)


@pytest.mark.parametrize(("rows", "words"), [(42, "all of them"), (0, "42 missing"), (45, "3 too many")])
def test_the_headline_compares_with_the_exact_maximum(rows, words):
    assert report.text(RUN, [], Facts(**(vars(FACTS) | {"rows": rows}))).startswith(
        f"{rows} of 42 people stored: {words}\n"
    )


def test_the_json_line_holds_every_fact_on_one_line():
    line = report.json_line(RUN, USED, FACTS)
    assert "\n" not in line
    facts = json.loads(line)
    assert facts["rows"] == 41
    assert facts["maximum"] == 42
    assert facts["passed"] is False
    assert facts["seed"] == 7
    assert facts["gatling"] == "3.9.5"
    assert facts["requests"]["create"]["count"] == 101
    assert facts["requests"]["create"]["latency"]["p99"] == 99
    assert facts["requests"]["all"]["errors"] == {"Request timeout <60 s>": 1, "Premature close": 1}
    assert facts["resources"]["all"]["cpu_s"] == 3.0


def test_the_page_tells_every_fact_and_needs_nothing_from_outside():
    page = report.html(RUN, USED, FACTS)
    for fact in (
        "41 of 42 people stored: 1 missing",
        "41 people &amp; their ids read back",
        "two &lt;small&gt; cores",
        "0.75 CPU, 1,536 MB",
        "Gatling 3.9.5",
        "commit: abc1234",
        "seed: 7",
        "Request timeout &lt;60 s&gt;",
    ):
        assert fact in page
    assert not re.search(r"<script|<link|<img|@import|url\(|https?:", page)
    assert "prefers-color-scheme: dark" in page
    assert '<header class="bad">' in page


def test_the_page_draws_each_plot_that_there_is_something_to_draw_for():
    always = ["Answers per second", "Latency of the OK answers in ms, logarithmic"]
    calm = Run("3.9.5", START, RUN.requests[:100])
    assert titles(report.html(calm, [], FACTS)) == always
    assert titles(report.html(calm, USED, FACTS)) == [*always, "CPUs in use", "Memory in MB"]
    assert titles(report.html(RUN, [], FACTS)) == [*always, "Errors per second"]


def titles(page: str) -> list[str]:
    return re.findall(r"<figcaption><b>(.*?)</b>", page)


def test_a_perfect_run_is_marked_good():
    assert '<header class="good">' in report.html(RUN, [], Facts(**(vars(FACTS) | {"rows": 42})))


def test_a_failed_audit_is_never_good():
    facts = Facts(**(vars(FACTS) | {"rows": 42, "audit_passed": False}))
    assert not facts.passed
    assert '<header class="bad">' in report.html(RUN, [], facts)


def test_a_run_without_a_single_request_still_has_a_report():
    empty = Run("3.9.5", START, [])
    assert "0 of 42 people stored" in report.text(empty, [], Facts(**(vars(FACTS) | {"rows": 0})))
    assert "<svg" in report.html(empty, USED, FACTS)
    assert json.loads(report.json_line(empty, [], FACTS))["requests"]["all"]["count"] == 0


def test_lines_are_broken_where_nothing_was_answered():
    figure = chart("t", [0, 1, 2, 3], {"p50": [1, None, 3, 4]})
    (line,) = re.findall(r'class="line"[^>]* d="([^"]*)"', figure)
    assert line.count("M") == 2


def test_the_limit_is_inside_the_picture():
    figure = chart("t", [0, 1], {"a": [0.1, 0.2]}, stack=True, limit=0.75)
    (height,) = re.findall(r'class="limit" d="M46 ([0-9.]+)h', figure)
    assert 10 <= float(height) < 206
    assert "limit 0.75" in figure
