"""`./rinha explain` shows the plan of a search, its statements and the first people found."""

import re

import pytest

from ops.commands.explain import text
from service.search import SearchPlan
from service.search_key import Weights
from service.timed_reader import Step
from tests.support.people import new_nickname
from tests.support.stack import RunningStack


def test_explain_shows_statements_that_can_be_run(operator_stack: RunningStack) -> None:
    assert operator_stack.rinha("seed", "2100").returncode == 0
    for term in ("Silva", "D'Ávila 100%", "C#", '"'):
        completed = operator_stack.rinha("explain", term)

        assert completed.returncode == 0, completed.stderr
        assert completed.stdout.startswith("plan: ")
        steps = re.findall(r"^\d\. (\d+) rows in [\d.]+ ms\n +(SELECT .*;)$", completed.stdout, re.MULTILINE)
        rows, statement = steps[-1]
        without_limit = re.sub(r"/\*\+.*?\*/", "", statement)  # of the time, which a second execution may exceed
        assert len(operator_stack.sql(without_limit)) == int(rows)
    assert "Silva" in operator_stack.rinha("explain", "silva").stdout.splitlines()[-1]
    assert operator_stack.rinha("explain", new_nickname() * 3).stdout.endswith("0 found\n")


@pytest.mark.parametrize(
    ("ngrams", "scan_first", "expected"),
    [
        (((1, 2, 3),), False, "plan: the full-text index narrows with {}, LIKE %ana% decides"),
        (((1, 2, 3),), True, "plan: a scan with LIKE %ana% for at most 7 ms; if that is not enough, the full-text"),
        ((), True, "plan: a scan with LIKE %ana%; no part of the term is in the full-text index"),
    ],
)
def test_each_kind_of_plan_is_explained(ngrams: tuple[Weights, ...], scan_first: bool, expected: str) -> None:
    plan = SearchPlan(ngrams, 1.0, "%ana%", 7, scan_first)

    explanation = text(plan, [Step("SELECT %s", ("%ana%",), 0.9, None)], [])

    assert explanation.startswith(expected.format(plan.match_expression(0)))
    assert "1. stopped at its time limit after 900.0 ms\n   SELECT '%ana%';" in explanation
