"""Clients as they are: what people type into the mysql client, and paths that end with a slash.

Each situation is a row: the arguments of `./rinha sql`, and a pattern of what it prints.
"""

import json
import re
from typing import NamedTuple

import pytest

from tests.support.polling import wait_until
from tests.support.stack import RunningStack


class Situation(NamedTuple):
    """What follows `sql -e`, and a pattern of the output."""

    statements: str
    seen: str


SITUATIONS = (
    Situation(r"SELECT 1 AS a\G", r"\*+ 1\. row \*+\na: 1\n"),
    Situation(r"SELECT 1 AS a\g", r"a\n1\n"),
    Situation("SELECT 1 AS a; SELECT 2 AS b", r"a\n1\nb\n2\n"),
    Situation(r"SELECT '\G' AS a", r"a\nG\n"),
    Situation(r"\s", r"(?s)-+\n.*Server version:.*"),
    Situation("SELECT 1 AS a\\G\nSELECT 'é😀' AS b\\G", r"(?s).*a: 1\n.*b: é😀\n"),
)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.statements)
def test_sql_takes_what_the_mysql_client_takes(stack: RunningStack, situation: Situation) -> None:
    completed = stack.rinha("sql", "-e", situation.statements)

    assert completed.returncode == 0, completed.stderr
    assert re.fullmatch(situation.seen, completed.stdout), completed.stdout


@pytest.mark.parametrize(
    ("path", "workers"), [("/pessoas/?t=ana", "34"), ("/users/?q=ana", "34"), ("/contagem-pessoas/", "12")]
)
def test_a_path_with_a_trailing_slash_goes_to_its_lane(stack: RunningStack, path: str, workers: str) -> None:
    answer = stack.wire.request("GET", path)

    def upstreams() -> list[str]:
        lines = (stack.data / "log/nginx-access.log").read_text().splitlines()
        logged = [json.loads(line) for line in lines if answer.headers["x-request-id"] in line]
        return [line["upstream"] for line in logged]

    assert answer.status == 200
    wait_until(upstreams)
    assert re.search(rf"\.[{workers}]\.sock$", upstreams()[0])
