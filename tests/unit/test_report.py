"""The report of a load run contains the statistics and the facts of the run."""

import json
import re

import pytest

from bench import report
from bench.charts import chart
from bench.statistics import Run
from tests.support.load_run import FACTS, RUN, START, USED, facts_with


def test_the_terminal_report_tells_every_fact() -> None:
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


@pytest.mark.parametrize(("rows", "headline"), [(42, "all of them"), (0, "42 missing"), (45, "3 too many")])
def test_the_headline_compares_with_the_exact_maximum(rows: int, headline: str) -> None:
    assert report.text(RUN, [], facts_with(rows=rows)).startswith(f"{rows} of 42 people stored: {headline}\n")


def test_the_json_line_holds_every_fact_on_one_line() -> None:
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


def test_the_page_tells_every_fact_and_needs_nothing_from_outside() -> None:
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


def test_the_page_draws_each_plot_that_there_is_something_to_draw_for() -> None:
    always = ["Answers per second", "Latency of the OK answers in ms, logarithmic"]
    calm = Run("3.9.5", START, RUN.requests[:100])
    assert titles(report.html(calm, [], FACTS)) == always
    assert titles(report.html(calm, USED, FACTS)) == [*always, "CPUs in use", "Memory in MB"]
    assert titles(report.html(RUN, [], FACTS)) == [*always, "Errors per second"]


def titles(page: str) -> list[str]:
    return re.findall(r"<figcaption><b>(.*?)</b>", page)


def test_a_perfect_run_is_marked_good() -> None:
    assert '<header class="good">' in report.html(RUN, [], facts_with(rows=42))


def test_a_failed_audit_is_never_good() -> None:
    facts = facts_with(rows=42, audit_passed=False)
    assert not facts.passed
    assert '<header class="bad">' in report.html(RUN, [], facts)


def test_a_run_without_a_single_request_still_has_a_report() -> None:
    empty = Run("3.9.5", START, [])
    assert "0 of 42 people stored" in report.text(empty, [], facts_with(rows=0))
    assert "<svg" in report.html(empty, USED, FACTS)
    assert json.loads(report.json_line(empty, [], FACTS))["requests"]["all"]["count"] == 0


def test_lines_are_broken_where_nothing_was_answered() -> None:
    figure = chart("t", [0, 1, 2, 3], {"p50": [1, None, 3, 4]})
    (line,) = re.findall(r'class="line"[^>]* d="([^"]*)"', figure)
    assert line.count("M") == 2


def test_the_limit_is_inside_the_picture() -> None:
    figure = chart("t", [0, 1], {"a": [0.1, 0.2]}, stack=True, limit=0.75)
    (height,) = re.findall(r'class="limit" d="M46 ([0-9.]+)h', figure)
    assert 10 <= float(height) < 206
    assert "limit 0.75" in figure
