"""openapi.yaml is held to the code, to nginx and to the contract's table, in both directions.

No database is asked: what is described does not depend on who is stored.
"""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NamedTuple
from unicodedata import normalize

import falcon.inspect
import falcon.testing
import openapi_spec_validator
import pytest
import yaml
from jsonschema import Draft202012Validator

import service
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
from service.person import (
    ENGLISH,
    NAME_LENGTH,
    NICKNAME_LENGTH,
    OFFICIAL,
    SKILL_LENGTH,
    Dialect,
    Person,
    new_id,
    parse_person,
)
from service.resources import BODY_LIMIT
from service.search import LIMIT
from service.store import PeopleStore
from tests.support import contract as table

API: dict[str, Any] = yaml.safe_load(OPENAPI.read_bytes())
PARTS: dict[str, dict[str, Any]] = API["components"]
NGINX = (OPENAPI.parent / "lb" / "nginx.conf").read_text()
METHODS = ("get", "head", "post", "put", "patch", "delete", "trace")
DIALECTS = pytest.mark.parametrize("dialect", [OFFICIAL, ENGLISH], ids=["official", "english"])


class FakeStore:
    """Has everybody but the id of zeros; of nicknames, only "taken" is taken; the term "slow" takes too long."""

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


CLIENT = falcon.testing.TestClient(create_app(FakeStore()))
# The real store; nothing listens on this port.
AWAY = falcon.testing.TestClient(create_app(PeopleStore(Config(db_port=1, db_password=""))))


class Asked(NamedTuple):
    """A request for a described operation, and how it ends: well (None) or with an error."""

    method: str
    path: str
    error: type[ServiceError] | None = None
    identifier: str = ""
    query: str = ""
    body: bytes = b""
    content_type: str | None = None

    def answer(self) -> falcon.testing.Result:
        client = AWAY if self.error is Unavailable else CLIENT
        return client.simulate_request(
            self.method.upper(), self.path.replace("{id}", self.identifier), query_string=self.query,
            body=self.body, headers={"Content-Type": self.content_type} if self.content_type else None,
        )  # fmt: skip


def asked_of(dialect: Dialect) -> Iterator[Asked]:
    """Yield a request for every way in which an operation of `dialect` can end."""
    people, one = dialect.people, dialect.people + "/{id}"
    nickname, name, birth_date, stack = dialect[3:]

    def post(error: type[ServiceError] | None, **fields: Any) -> Asked:
        person = {nickname: "ana", name: "Ana", birth_date: "2000-01-01", **fields}
        return Asked("post", people, error, body=json.dumps(person).encode())

    yield from (
        post(None),
        Asked("post", people, ContentTooLarge, body=b" " * (BODY_LIMIT + 1)),
        Asked("post", people, UnsupportedMediaType, content_type="text/plain"),
        Asked("post", people, BadRequest, body=b"apelido=ana"),
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
    somebody, nobody = "01998b4e-6f00-7c3a-9d52-8e1f0a4b7c21", "00000000-0000-0000-0000-000000000000"
    for method in ("get", "head"):
        yield from (
            Asked(method, people, query=f"{dialect.term}=ana"),
            Asked(method, people, BadRequest),
            Asked(method, people, Unavailable, query=f"{dialect.term}=ana"),
            Asked(method, people, SearchTimeout, query=f"{dialect.term}=slow"),
            Asked(method, one, identifier=somebody),
            Asked(method, one, NotFound, identifier=nobody),
            Asked(method, one, NotFound, identifier="x"),
            Asked(method, one, Unavailable, identifier=somebody),
            Asked(method, dialect.people_count),
            Asked(method, dialect.people_count, Unavailable),
        )


ASKED = [
    *asked_of(OFFICIAL),
    *asked_of(ENGLISH),
    *(
        Asked(method, path, error)
        for method in ("get", "head")
        for path, error in (
            ("/health/live", None), ("/health/ready", None), ("/health/ready", Unavailable), ("/openapi.yaml", None),
        )
    ),
]  # fmt: skip


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference to what it names."""
    while "$ref" in node:
        name = node["$ref"].removeprefix("#/components/").split("/")
        node = PARTS[name[0]][name[1]]
    return node


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): item[method] for path, item in API["paths"].items() for method in METHODS if method in item}


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in the file."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
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
    """Return the errors that the load balancer gives by itself."""
    return [json.loads(body) for body in re.findall(r"return \d+ '([^']+)'", NGINX)]


def errors(tree: type[ServiceError] = ServiceError) -> set[type[ServiceError]]:
    return {tree}.union(*(errors(child) for child in tree.__subclasses__()))


def test_the_file_is_valid_openapi_3_1_and_names_this_release() -> None:
    openapi_spec_validator.validate(API)

    assert API["openapi"].startswith("3.1.")
    assert API["info"]["version"] == service.__version__


def test_the_file_is_served_as_it_stands() -> None:
    answer = CLIENT.simulate_get("/openapi.yaml")

    assert answer.content == OPENAPI.read_bytes()
    assert answer.headers["content-type"] == "application/yaml"


def test_what_is_routed_is_described_and_what_is_described_is_routed() -> None:
    routed = {
        (method.method.lower(), re.sub(r"{\w+}", "{id}", route.path))
        for route in falcon.inspect.inspect_app(CLIENT.app).routes
        for method in route.methods
        if not method.internal  # OPTIONS, and the 405 of what has no responder
    }

    assert set(operations()) == routed


@pytest.mark.parametrize("asked", ASKED, ids=lambda a: f"{a.method} {a.path} {a.error and a.error.__name__}")
def test_an_answer_is_as_described(asked: Asked) -> None:
    answer = asked.answer()

    assert answer.status_code == (asked.error.status if asked.error else 201 if asked.method == "post" else 200)
    described = resolve(operations()[asked.method, asked.path]["responses"][str(answer.status_code)])
    for name, header in described.get("headers", {}).items():
        if resolve(header).get("required"):
            kind = resolve(header)["schema"]["type"]
            value = int(answer.headers[name]) if kind == "integer" else answer.headers[name]
            validator(resolve(header)["schema"]).validate(value)
    if asked.method == "head":
        assert "content" not in described
        return
    content_type = answer.headers["content-type"].partition(";")[0]
    assert set(described["content"]) == {content_type}
    body = yaml.safe_load(answer.content) if "yaml" in content_type else json.loads(answer.content)
    validator(described["content"][content_type]["schema"]).validate(body)


@pytest.mark.parametrize("operation", operations(), ids=" ".join)
def test_a_described_status_is_one_that_is_given(operation: tuple[str, str]) -> None:
    given = {str(asked.answer().status_code) for asked in ASKED if (asked.method, asked.path) == operation}

    assert set(operations()[operation]["responses"]) - {"405", "default"} == given


def test_every_error_of_the_service_is_described() -> None:
    """The root of the tree stands for a defect, which no request can ask for."""
    assert {asked.error for asked in ASKED if asked.error} == errors() - {ServiceError}
    assert str(ServiceError.status) in PARTS["responses"]["Other"]["description"]


@pytest.mark.parametrize("path", API["paths"])
def test_a_method_that_is_not_described_is_405_as_described(path: str) -> None:
    item = API["paths"][path]
    described = resolve(item["get"]["responses"]["405"])

    for method in METHODS:
        if method in item:
            assert method == "get" or "405" not in item[method]["responses"]
            continue
        answer = CLIENT.simulate_request(method.upper(), path)
        assert answer.status_code == 405
        assert {*answer.headers["allow"].split(", ")} == {"OPTIONS", *(m.upper() for m in METHODS if m in item)}
        assert answer.json == described["content"][PROBLEM]["example"]


def test_every_example_of_an_error_is_one_that_is_given() -> None:
    kinds = {(error.status, error.title) for error in errors()} | {(405, "Method Not Allowed")}
    answers = [asked.answer().json for asked in ASKED if asked.error and asked.method != "head"]
    answers.append(CLIENT.simulate_delete("/pessoas").json)

    for problem in problems():
        assert (problem["status"], problem["title"]) in kinds
        assert problem in answers + problems_of_nginx()


def test_the_errors_of_nginx_are_named_and_described_as_those_of_the_service() -> None:
    titles = {error.status: error.title for error in errors()}
    described = {
        int(status) for operation in operations().values() for status in operation["responses"] if status.isdigit()
    }

    for problem in problems_of_nginx():
        assert problem["title"] == titles.get(
            problem["status"], HTTPStatus(problem["status"]).phrase.replace("Request-", "")
        )
        validator({"$ref": "#/components/schemas/Problem"}).validate(problem)
        assert problem["status"] in described or str(problem["status"]) in PARTS["responses"]["Other"]["description"]


def test_the_paths_that_nginx_keeps_inside_are_said_not_to_be_published() -> None:
    (prefix,) = re.findall(r"location (/\S+) { return 404", NGINX)

    for path, item in API["paths"].items():
        assert path.startswith(prefix) == ("servers" in item) == ("not publish" in item.get("description", ""))
        for server in item.get("servers", []):
            assert server["url"] == "http://" + Config(db_password="").listen


def test_lengths_are_those_of_the_parser() -> None:
    schemas = PARTS["schemas"]

    assert schemas["Nickname"]["maxLength"] == NICKNAME_LENGTH
    assert schemas["Name"]["maxLength"] == NAME_LENGTH
    assert schemas["Skill"]["maxLength"] == SKILL_LENGTH


def test_the_limit_of_a_body_is_that_of_nginx() -> None:
    (kilobytes,) = re.findall(r"client_max_body_size\s+(\d+)k;", NGINX)

    assert int(kilobytes) * 1024 == BODY_LIMIT
    assert f" {BODY_LIMIT:,} bytes" in PARTS["responses"]["ContentTooLarge"]["description"]


@DIALECTS
def test_a_search_answers_as_many_as_the_store_looks_for(dialect: Dialect) -> None:
    found = API["paths"][dialect.people]["get"]["responses"]["200"]

    assert found["content"]["application/json"]["schema"]["maxItems"] == LIMIT
    assert f"At most {LIMIT} people" in found["description"]


@DIALECTS
def test_a_search_is_asked_by_the_parameter_of_the_dialect(dialect: Dialect) -> None:
    for method in ("get", "head"):
        (parameter,) = API["paths"][dialect.people][method]["parameters"]
        assert resolve(parameter)["name"] == dialect.term


def test_the_field_of_an_error_is_a_word_of_a_dialect() -> None:
    assert set(PARTS["schemas"]["Problem"]["properties"]["field"]["enum"]) == {*OFFICIAL[2:], *ENGLISH[2:]}


def test_retry_after_is_that_of_the_service_and_of_nginx() -> None:
    example = PARTS["headers"]["Retry-After"]["example"]

    assert example == Unavailable.retry_after
    assert f"add_header Retry-After {example} always;" in NGINX


def test_the_request_id_is_made_by_nginx() -> None:
    assert "X-Request-ID" in PARTS["headers"]
    assert "add_header X-Request-ID $request_id always;" in NGINX


@DIALECTS
def test_every_example_of_a_person_is_accepted_and_answered_by_the_example_of_its_name(dialect: Dialect) -> None:
    operation = API["paths"][dialect.people]["post"]
    answers = examples(operation["responses"]["201"]["content"]["application/json"])

    for name, person in examples(operation["requestBody"]["content"]["application/json"]).items():
        parse_person(person, dialect)
        answer = CLIENT.simulate_post(dialect.people, json=person)
        assert answer.status_code == 201
        if name in answers:
            assert {**answer.json, "id": ""} == {**answers.pop(name), "id": ""}
    assert not answers


def test_examples_fit_their_schemas() -> None:
    for node in nodes(API):
        if "schema" in node:
            for example in examples(node).values():
                validator(node["schema"]).validate(example)


@DIALECTS
@pytest.mark.parametrize(
    "row", table.WRONG_TYPE + table.WRONG_DATE_FORM + table.MISSING + table.BROKEN_RULE + table.VALID,
    ids=lambda row: row.name,
)  # fmt: skip
def test_the_schema_of_a_person_accepts_what_the_contract_accepts_and_nothing_else(
    dialect: Dialect, row: table.Row
) -> None:
    text = row.body.decode() if isinstance(row.body, bytes) else json.dumps(row.body, ensure_ascii=False)
    words = dict(zip(OFFICIAL, dialect, strict=True))
    document = {words.get(key, key): value for key, value in json.loads(normalize("NFC", text)).items()}
    schema = API["paths"][dialect.people]["post"]["requestBody"]["content"]["application/json"]["schema"]

    assert validator(schema).is_valid(document) == (row.status == 201)


def test_the_form_of_a_date_is_told_to_those_who_do_not_check_formats() -> None:
    birth_date = Draft202012Validator(PARTS["schemas"]["BirthDate"])

    assert birth_date.is_valid("2000-10-01")
    for date in ("200-10-01", "20-10-01", *(row.body["nascimento"] for row in table.WRONG_DATE_FORM)):
        assert not birth_date.is_valid(date)


@DIALECTS
def test_a_person_is_answered_with_exactly_the_id_and_the_four_fields(dialect: Dialect) -> None:
    schema = API["paths"][dialect.people + "/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    person = Person(new_id(), "ana", "Ana", "2000-01-01", None).document(dialect)

    assert validator(schema).is_valid(person)
    assert not validator(schema).is_valid({**person, "more": 1})
    for key in person:
        assert not validator(schema).is_valid({k: v for k, v in person.items() if k != key})


def test_every_component_is_used() -> None:
    used = {node["$ref"] for node in nodes(API) if "$ref" in node}

    assert used == {f"#/components/{kind}/{name}" for kind, named in PARTS.items() for name in named}
