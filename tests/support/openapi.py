"""openapi.yaml, and a request for every way in which one of its operations can end."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import falcon.testing
import pytest
import yaml
from jsonschema import Draft202012Validator

from service.app import OPENAPI, PROBLEM, create_app
from service.config import Config
from service.errors import (
    BadRequest,
    ContentTooLarge,
    NicknameTaken,
    NotFound,
    SearchTimeout,
    ServiceError,
    Unavailable,
    UnprocessableContent,
    UnsupportedMediaType,
)
from service.person import ENGLISH, NICKNAME_LENGTH, OFFICIAL, Dialect, Person, new_id
from service.resources import BODY_LIMIT
from service.search import LIMIT
from service.store import PeopleStore

API: dict[str, Any] = yaml.safe_load(OPENAPI.read_bytes())
PARTS: dict[str, dict[str, Any]] = API["components"]
NGINX = (OPENAPI.parent / "lb" / "nginx.conf").read_text()
METHODS = ("get", "head", "post", "put", "patch", "delete", "trace")
DIALECTS = pytest.mark.parametrize("dialect", [OFFICIAL, ENGLISH], ids=["official", "english"])


class FakeStore:
    """Has a person for each id except zeros; "taken" is taken; a search for "slow" exceeds its time limit."""

    def add(self, person: Person) -> None:
        if person.nickname == "taken":
            raise NicknameTaken("")

    def get(self, identifier: bytes) -> Person | None:
        return Person(identifier, "ana", "Ana", "2000-01-01", None) if any(identifier) else None

    def search(self, term: str) -> list[Person]:
        if term == "slow":
            raise SearchTimeout("")
        return [Person(new_id(), "josé", "José", "2000-01-01", ["C#"])] * LIMIT

    def count(self) -> int:
        return 46410

    def check(self) -> None:
        pass


FAKE_STORE: Any = FakeStore()
CLIENT = falcon.testing.TestClient(create_app(FAKE_STORE))


# With the real store, whose MySQL is down: nothing listens on this port.
UNAVAILABLE = falcon.testing.TestClient(create_app(PeopleStore(Config(db_port=1, db_password=""))))


class DescribedRequest(NamedTuple):
    """A request for a described operation, and the error of its answer, None for success."""

    method: str
    path: str
    error: type[ServiceError] | None = None
    identifier: str = ""
    query: str = ""
    body: bytes = b""
    content_type: str | None = None

    def answer(self) -> falcon.testing.Result:
        """Send the request; return the answer."""
        client = UNAVAILABLE if self.error is Unavailable else CLIENT
        return client.simulate_request(
            self.method.upper(),
            self.path.replace("{id}", self.identifier),
            query_string=self.query,
            body=self.body,
            headers={"Content-Type": self.content_type} if self.content_type else None,
        )


def requests_of(dialect: Dialect) -> Iterator[DescribedRequest]:
    """Yield a request for every way in which an operation of `dialect` can end."""
    people, one = dialect.people, dialect.people + "/{id}"
    nickname, name, birth_date, stack = dialect[3:]

    def post(error: type[ServiceError] | None, **fields: Any) -> DescribedRequest:
        person = {nickname: "ana", name: "Ana", birth_date: "2000-01-01", **fields}
        return DescribedRequest("post", people, error, body=json.dumps(person).encode())

    yield from (
        post(None),
        DescribedRequest("post", people, ContentTooLarge, body=b" " * (BODY_LIMIT + 1)),
        DescribedRequest("post", people, UnsupportedMediaType, content_type="text/plain"),
        DescribedRequest("post", people, BadRequest, body=b"apelido=ana"),
        post(BadRequest, **{name: 1}),
        post(BadRequest, **{stack: ["PHP", 1]}),
        post(BadRequest, **{birth_date: "1/10/2000"}),
        post(UnprocessableContent, **{nickname: None}),
        post(UnprocessableContent, **{name: ""}),
        post(UnprocessableContent, **{nickname: "a" * (NICKNAME_LENGTH + 1)}),
        post(UnprocessableContent, **{stack: ["a\nb"]}),
        post(UnprocessableContent, **{birth_date: "2001-02-29"}),
        post(NicknameTaken, **{nickname: "taken"}),
        post(Unavailable),
    )
    known, unknown = "01998b4e-6f00-7c3a-9d52-8e1f0a4b7c21", "00000000-0000-0000-0000-000000000000"
    for method in ("get", "head"):
        yield from (
            DescribedRequest(method, people, query=f"{dialect.term}=ana"),
            DescribedRequest(method, people, BadRequest),
            DescribedRequest(method, people, BadRequest, query=f"{dialect.term}=jos%E9"),
            DescribedRequest(method, people, Unavailable, query=f"{dialect.term}=ana"),
            DescribedRequest(method, people, SearchTimeout, query=f"{dialect.term}=slow"),
            DescribedRequest(method, one, identifier=known),
            DescribedRequest(method, one, NotFound, identifier=unknown),
            DescribedRequest(method, one, NotFound, identifier="x"),
            DescribedRequest(method, one, Unavailable, identifier=known),
            DescribedRequest(method, dialect.people_count),
            DescribedRequest(method, dialect.people_count, Unavailable),
        )


REQUESTS = [
    *requests_of(OFFICIAL),
    *requests_of(ENGLISH),
    *(
        DescribedRequest(method, path, error)
        for method in ("get", "head")
        for path, error in (
            ("/health/live", None), ("/health/ready", None), ("/health/ready", Unavailable), ("/openapi.yaml", None),
        )
    ),
]  # fmt: skip


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Return the component that a reference names."""
    while "$ref" in node:
        name = node["$ref"].removeprefix("#/components/").split("/")
        node = PARTS[name[0]][name[1]]
    return node


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the operations by method and path."""
    return {(method, path): item[method] for path, item in API["paths"].items() for method in METHODS if method in item}


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in the file."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Return a validator of a schema that may refer to components."""
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator({"components": PARTS, **schema}, format_checker=checker)


def examples(holder: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the examples of a media type, parameter or header, by name."""
    named = {name: resolve(example)["value"] for name, example in holder.get("examples", {}).items()}
    return {**named, "": holder["example"]} if "example" in holder else named


def problems() -> list[dict[str, Any]]:
    """Return every example of an error."""
    return [
        example
        for response in PARTS["responses"].values()
        for example in examples(response.get("content", {}).get(PROBLEM, {})).values()
    ]


def problems_of_nginx() -> list[dict[str, Any]]:
    """Return the errors that nginx answers by itself."""
    return [json.loads(body) for body in re.findall(r"return \d+ '([^']+)'", NGINX)]


def errors(tree: type[ServiceError] = ServiceError) -> set[type[ServiceError]]:
    """Return the errors of the service."""
    return {tree}.union(*(errors(child) for child in tree.__subclasses__()))
