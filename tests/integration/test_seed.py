"""`./rinha seed` stores exactly the number of sample people that it is given, however often it runs."""

import signal
import subprocess
import time
from itertools import islice

import pytest

from ops import ROOT
from ops.sample_people import BLOCK, SamplePerson, block
from service.person import Person
from service.store import PeopleStore
from tests.support.people import new_person
from tests.support.stack import RunningStack, ops_command


def sample_people(first: int, last: int) -> list[SamplePerson]:
    """Return the sample people from number `first` up to, but without, number `last`."""
    return [person for number in range(last // BLOCK + 1) for person in block(number)][first:last]


@pytest.fixture(scope="module")
def taken(store: PeopleStore) -> Person:
    """Store a person with the nickname of a sample person."""
    person = new_person(nickname=sample_people(1234, 1235)[0].nickname)
    store.add(person)
    return person


def test_people_are_seeded_once_and_no_existing_person_is_replaced(
    stack: RunningStack, store: PeopleStore, taken: Person
) -> None:
    before = store.count()
    for wanted, stored in ((600, 600), (600, 600), (1500, 1499), (2100, 2099)):
        completed = stack.rinha("seed", str(wanted))

        assert completed.returncode == 0, completed.stderr
        assert f"{wanted:,} of {wanted:,} people" in completed.stdout
        assert store.count() == before + stored
    assert store.get(taken.id) == taken


@pytest.mark.long
@pytest.mark.usefixtures("taken")
def test_a_stopped_seed_continues_where_it_stopped(stack: RunningStack, store: PeopleStore) -> None:
    assert stack.rinha("seed", "2100").returncode == 0
    before = store.count()
    for signal_number in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            ops_command("seed", "14100", *stack.options), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        counted = store.count()
        while store.count() == counted and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal_number)
        assert b"Traceback" not in process.communicate()[1]
    assert store.count() < before + 12000, "the seed was complete before it was stopped"

    assert stack.rinha("seed", "14100").returncode == 0

    assert store.count() == before + 12000


@pytest.mark.usefixtures("taken")
def test_seeded_people_are_found_as_generated(stack: RunningStack, store: PeopleStore) -> None:
    assert stack.rinha("seed", "2100").returncode == 0
    for person in (*sample_people(0, 20), *sample_people(1235, 1255)):
        found = {person.nickname: person for person in store.search(person.nickname)}[person.nickname]

        assert found[1:] == tuple(person)


def test_the_sample_people_are_always_the_same_and_distinct() -> None:
    people = sample_people(0, 20_000)

    assert list(islice(block(7), 3)) == people[7 * BLOCK : 7 * BLOCK + 3]
    assert len({person.nickname for person in people}) == len(people)
    assert max(len(person.nickname) for person in people) <= 32
    assert max(len(person.name) for person in people) <= 100
    share = sum("Maria" in person.name for person in people) / len(people)
    assert 0.1 < share < 0.25
    assert {type(person.skills) for person in people} == {list, type(None)}
