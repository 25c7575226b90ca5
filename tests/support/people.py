"""New people: as domain objects, as JSON documents, and stored."""

import secrets
from collections.abc import Callable
from typing import Any

from service.person import Person, new_id
from service.store import PeopleStore
from tests.support.client import Answer, Client, post
from tests.support.stack import RunningStack


def new_nickname() -> str:
    """Return a random nickname."""
    return secrets.token_hex(8)


def new_person(**fields: Any) -> Person:
    """Return a person with a random nickname, or with `fields`."""
    return Person(new_id(), new_nickname(), "Ana", "2000-01-01", None)._replace(**fields)


def new_document(**fields: Any) -> dict[str, Any]:
    """Return the document that creates a person with a random nickname, or with `fields`, in the official dialect."""
    return {"apelido": new_nickname(), "nome": "Ana", "nascimento": "2000-01-01", **fields}


def create_person(client: Client, **fields: Any) -> Answer:
    """Send the request that creates a person with a random nickname, or with `fields`."""
    return post(client, "/pessoas", new_document(**fields))


def store_people(store: PeopleStore, count: int = 200) -> list[Person]:
    """Store people with so much text that there are canary rows among them."""
    people = [
        new_person(name=secrets.token_hex(30), skills=[secrets.token_hex(16) for _ in range(8)]) for _ in range(count)
    ]
    for person in people:
        store.add(person)
    return people


def remember_people(stack: RunningStack) -> Callable[[], bool]:
    """Create a person; return a function that returns whether both instances serve exactly the people of now."""
    nickname = new_nickname()
    created = create_person(stack.wire, apelido=nickname, nome="José", stack=["C#"])
    assert created.status == 201
    count = int(stack.wire.request("GET", "/contagem-pessoas").body)
    paths = (created.headers["location"], f"/pessoas?t={nickname[3:]}") * 4  # so that both instances answer

    def are_served() -> bool:
        try:
            answers = [stack.wire.request("GET", path) for path in paths]
            counted = stack.wire.request("GET", "/contagem-pessoas")
        except OSError:
            return False
        if any(answer.status != 200 for answer in (*answers, counted)):
            return False
        assert [answer.json() for answer in answers] == [created.json(), [created.json()]] * 4
        assert int(counted.body) == count
        return True

    return are_served
