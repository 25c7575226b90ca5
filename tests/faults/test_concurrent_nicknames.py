"""Of concurrent creations of one nickname exactly one succeeds."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.errors import NicknameTaken
from service.store import PeopleStore
from tests.support.client import Answer, Client
from tests.support.faulty_service import ids_of
from tests.support.people import create_person, new_nickname, new_person
from tests.support.stack import RunningStack

pytestmark = pytest.mark.faults


def test_of_several_concurrent_inserts_of_one_nickname_one_succeeds(stack: RunningStack) -> None:
    stored: list[str] = []
    nicknames = [new_nickname() for _ in range(25)]

    def add(ready: threading.Barrier) -> None:
        store = PeopleStore(stack.config)
        store.count()
        for nickname in nicknames:
            ready.wait()
            try:
                store.add(new_person(nickname=nickname))
                stored.append(nickname)
            except NicknameTaken:
                pass

    ready = threading.Barrier(4)
    threads = [threading.Thread(target=add, args=(ready,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(stored) == sorted(nicknames)


def test_of_two_requests_for_one_nickname_through_two_instances_one_is_201(stack: RunningStack) -> None:
    instances = [stack.instance(1), stack.instance(2)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(50):
            nickname, ready = new_nickname(), threading.Barrier(2)

            def create(client: Client, nickname: str = nickname, ready: threading.Barrier = ready) -> Answer:
                ready.wait()
                return create_person(client, apelido=nickname)

            answers = list(pool.map(create, instances))

            assert sorted(answer.status for answer in answers) == [201, 422]
            (winner,) = (answer for answer in answers if answer.status == 201)
            assert instances[0].request("GET", winner.headers["location"]).json() == winner.json()
            assert len(ids_of(stack, nickname)) == 1
