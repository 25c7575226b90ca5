"""`./rinha seed` loads exactly as many people as asked for, however often; `./rinha explain` tells what searches do."""

import re
import signal
import subprocess
import sys
import time
from itertools import islice

import pytest

from ops import ROOT
from ops.commands.explain import text
from ops.sample_people import BLOCK, SamplePerson, block
from service.person import Person
from service.search import SearchPlan
from service.search_key import Weights
from service.store import PeopleStore
from service.timed_reader import Step
from tests.support.people import somebody
from tests.support.stack import RunningStack


def crowd(first: int, last: int) -> list[SamplePerson]:
    return [person for number in range(last // BLOCK + 1) for person in block(number)][first:last]


@pytest.fixture(scope="module")
def taken(store: PeopleStore) -> Person:
    """SamplePerson who had the nickname of one of the crowd before."""
    person = somebody(nickname=crowd(1234, 1235)[0].nickname)
    store.add(person)
    return person


def test_people_are_loaded_once_and_nobody_is_replaced(stack: RunningStack, store: PeopleStore, taken: Person) -> None:
    before = store.count()
    for wanted, there in ((600, 600), (600, 600), (1500, 1499), (2100, 2099)):
        said = stack.rinha("seed", str(wanted))

        assert said.returncode == 0, said.stderr
        assert f"{wanted:,} of {wanted:,} people" in said.stdout
        assert store.count() == before + there
    assert store.get(taken.id) == taken


def test_a_stopped_load_is_taken_up_again(stack: RunningStack, store: PeopleStore, taken: Person) -> None:
    assert stack.rinha("seed", "2100").returncode == 0
    before = store.count()
    command = [sys.executable, "-m", "ops", "seed", "14100", "--port", str(stack.port), "--data", str(stack.data)]
    for signal_number in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        counted = store.count()
        while store.count() == counted and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal_number)
        assert b"Traceback" not in process.communicate()[1]
    assert store.count() < before + 12000, "it was not stopped half way"

    assert stack.rinha("seed", "14100").returncode == 0

    assert store.count() == before + 12000


def test_the_loaded_are_found_and_as_they_were_made(stack: RunningStack, store: PeopleStore, taken: Person) -> None:
    assert stack.rinha("seed", "2100").returncode == 0
    for person in (*crowd(0, 20), *crowd(1235, 1255)):
        found = {person.nickname: person for person in store.search(person.nickname)}[person.nickname]

        assert found[1:] == tuple(person)


def test_the_crowd_is_always_the_same_and_without_doubles() -> None:
    people = crowd(0, 20_000)

    assert list(islice(block(7), 3)) == people[7 * BLOCK : 7 * BLOCK + 3]
    assert len({person.nickname for person in people}) == len(people)
    assert max(len(person.nickname) for person in people) <= 32
    assert max(len(person.name) for person in people) <= 100
    share = sum("Maria" in person.name for person in people) / len(people)
    assert 0.1 < share < 0.25
    assert {type(person.skills) for person in people} == {list, type(None)}


def test_explain_shows_statements_that_can_be_run(stack: RunningStack, taken: Person) -> None:
    assert stack.rinha("seed", "2100").returncode == 0
    for term in ("Silva", "D'Ávila 100%", "C#", '"'):
        said = stack.rinha("explain", term)

        assert said.returncode == 0, said.stderr
        assert said.stdout.startswith("plan: ")
        rows, statement = re.findall(r"^\d\. (\d+) rows in [\d.]+ ms\n +(SELECT .*;)$", said.stdout, re.MULTILINE)[-1]
        unbounded = re.sub(r"/\*\+.*?\*/", "", statement)  # nobody may be in such a hurry twice
        assert len(stack.sql(unbounded)) == int(rows)
    assert "Silva" in stack.rinha("explain", "silva").stdout.splitlines()[-1]
    assert stack.rinha("explain", taken.nickname * 3).stdout.endswith("0 found\n")


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
