"""The contract, in both dialects, in process and through nginx, bjoern and MySQL."""

import json
import re
import uuid
from typing import Any
from urllib.parse import quote

import pytest

from service.person import ENGLISH, OFFICIAL, Dialect
from tests.support.client import Client, post
from tests.support.contract import (
    ENGLISH_FIELDS,
    NICK,
    PERSON,
    QUERIES,
    TABLE,
    Query,
    Row,
    check_problem,
    nfc,
    person,
    translate,
    translate_body,
)
from tests.support.people import new_nickname
from tests.support.stack import RunningStack

UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"
DIALECTS = pytest.mark.parametrize("dialect", [OFFICIAL, ENGLISH], ids=["official", "english"])


@DIALECTS
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_post_answers_as_the_table_says(client: Client, dialect: Dialect, row: Row) -> None:
    nick = new_nickname()
    raw = row.body if isinstance(row.body, bytes) else json.dumps(row.body, separators=(",", ":")).encode()
    body = translate_body(raw, dialect).replace(NICK.encode(), nick.encode())

    answer = client.request("POST", dialect.people, body, row.headers)

    assert answer.status == row.status, answer.body
    if row.status != 201:
        check_problem(answer, row.status, ENGLISH_FIELDS[row.field] if row.field and dialect is ENGLISH else row.field)
        return
    identifier = answer.json()["id"]
    assert uuid.UUID(identifier).version == 7
    assert answer.headers["location"] == f"{dialect.people}/{identifier}"
    found = client.request("GET", answer.headers["location"])
    assert found.status == 200
    assert found.json() == answer.json()
    sent = json.loads(body)
    for field in dialect[3:]:
        assert found.json()[field] == nfc(sent.get(field))
    assert set(found.json()) == {"id", *dialect[3:]}


@DIALECTS
def test_a_nickname_is_taken_once(client: Client, dialect: Dialect) -> None:
    nick = new_nickname()
    document = translate(person(apelido=nick), dialect)

    assert post(client, dialect.people, document).status == 201
    check_problem(post(client, dialect.people, document), 422, dialect.nickname)


@DIALECTS
def test_nicknames_are_told_apart_by_case_accents_and_trailing_spaces(client: Client, dialect: Dialect) -> None:
    nick = new_nickname()

    for variant in (f"{nick}e", f"{nick}E", f"{nick}é", f"{nick}e ", f" {nick}e"):
        assert post(client, dialect.people, translate(person(apelido=variant), dialect)).status == 201


def test_composed_and_decomposed_nicknames_are_the_same(client: Client) -> None:
    nick = new_nickname()

    assert post(client, "/pessoas", person(apelido=nick + "é")).status == 201
    check_problem(post(client, "/pessoas", person(apelido=nick + "e\u0301")), 422, "apelido")


def test_both_dialects_are_one_table(client: Client) -> None:
    document = person(apelido=new_nickname())

    identifier = post(client, "/pessoas", document).json()["id"]

    assert client.request("GET", f"/users/{identifier}").json() == {"id": identifier, **translate(document, ENGLISH)}


@DIALECTS
@pytest.mark.parametrize(
    "identifier",
    [UNKNOWN_ID, "x", "123", "{id}", "01890000-0000-7000-8000-00000000000g",
     "0189000000007000800000000000000a", "urn:uuid:00000000-0000-7000-8000-000000000000", "%F0%9F%98%80", "' OR 1=1"],
)  # fmt: skip
def test_an_unknown_id_is_404(client: Client, dialect: Dialect, identifier: str) -> None:
    check_problem(client.request("GET", f"{dialect.people}/{quote(identifier, safe='%')}"), 404)


def test_an_id_is_found_in_upper_case_too(client: Client) -> None:
    identifier = post(client, "/pessoas", person(apelido=new_nickname())).json()["id"]

    assert client.request("GET", f"/pessoas/{identifier.upper()}").json()["id"] == identifier


@DIALECTS
@pytest.mark.parametrize("row", QUERIES, ids=lambda row: row.query[:30] or "no query")
def test_a_search_is_answered_as_the_table_says(client: Client, dialect: Dialect, row: Query) -> None:
    other = (ENGLISH if dialect is OFFICIAL else OFFICIAL).term
    path = dialect.people + row.query.format(t=dialect.term, other=other)

    answer = client.request("GET", path)

    assert answer.status == client.request("HEAD", path).status == row.status, answer.body
    if row.status == 400:
        check_problem(answer, 400, dialect.term)


@DIALECTS
def test_search_finds_a_person_by_any_field_at_once(client: Client, dialect: Dialect) -> None:
    one, two, three = new_nickname(), new_nickname(), new_nickname()
    document = {"apelido": one, "nome": f"Ana {two} Nunes", "nascimento": "2000-01-01", "stack": ["C", f"x{three}y"]}
    created = post(client, dialect.people, translate(document, dialect)).json()

    for term in (one, one.upper(), two[3:], f"ANÁ {two}", f"{two} nun", three, f"X{three}"):
        answer = client.request("GET", f"{dialect.people}?{dialect.term}={quote(term)}")
        assert (answer.status, answer.json()) == (200, [created]), term


@DIALECTS
def test_a_search_without_a_match_returns_an_empty_list(client: Client, dialect: Dialect) -> None:
    answer = client.request("GET", f"{dialect.people}?{dialect.term}={new_nickname()}")

    assert (answer.status, answer.json()) == (200, [])


def test_search_takes_a_plus_for_a_space(client: Client) -> None:
    nick = new_nickname()
    post(client, "/pessoas", person(apelido=nick, nome=f"{nick} Silva"))

    assert len(client.request("GET", f"/pessoas?t={nick}+silva").json()) == 1


@DIALECTS
def test_count_is_exact_plain_text(client: Client, dialect: Dialect) -> None:
    before = client.request("GET", dialect.people_count)
    post(client, dialect.people, translate(person(apelido=new_nickname()), dialect))
    after = client.request("GET", dialect.people_count)

    assert before.headers["content-type"].startswith("text/plain")
    assert re.fullmatch(rb"\d+", before.body)
    assert int(after.body) == int(before.body) + 1


@pytest.mark.parametrize(
    "path", ["/page", "/docs/x", "/index.html", "/pessoa", "/pessoa/", "/pessoas//", "/contagem-pessoas/1", "/a/b/c/"]
)
def test_an_unknown_path_is_404(client: Client, path: str) -> None:
    check_problem(client.request("GET", path), 404)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/pessoas", "/users", "/contagem-pessoas", f"/pessoas/{UNKNOWN_ID}"])
def test_a_wrong_method_is_405_and_says_which_are_right(client: Client, method: str, path: str) -> None:
    answer = client.request(method, path)

    check_problem(answer, 405)
    assert "GET" in answer.headers["allow"]


@DIALECTS
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_path_with_a_trailing_slash_is_answered_like_the_path_without(
    client: Client, dialect: Dialect, method: str
) -> None:
    identifier = post(client, dialect.people, translate(person(apelido=new_nickname()), dialect)).json()["id"]
    paths = [dialect.people, f"{dialect.people}/{identifier}", f"{dialect.people}/{UNKNOWN_ID}", dialect.people_count]

    for path in [*paths, "/openapi.yaml", "/health/live", "/pessoa"]:
        query = f"?{dialect.term}={identifier}" if path == dialect.people else ""
        without, with_slash = (client.request(method, path + end + query) for end in ("", "/"))
        assert (with_slash.status, with_slash.body) == (without.status, without.body), path
        for name in ("allow", "content-type", "content-length", "location", "retry-after"):
            assert with_slash.headers.get(name) == without.headers.get(name), (path, name)


@DIALECTS
def test_a_creation_with_a_trailing_slash_is_located_without_it(client: Client, dialect: Dialect) -> None:
    answer = post(client, f"{dialect.people}/", translate(person(apelido=new_nickname()), dialect))

    assert (answer.status, answer.headers["location"]) == (201, f"{dialect.people}/{answer.json()['id']}")


@DIALECTS
def test_head_answers_as_get_without_the_body(client: Client, dialect: Dialect) -> None:
    identifier = post(client, dialect.people, translate(person(apelido=new_nickname()), dialect)).json()["id"]

    for path in (f"{dialect.people}/{identifier}", f"{dialect.people}?{dialect.term}=zz", dialect.people_count):
        head, get = client.request("HEAD", path), client.request("GET", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.headers["content-length"] == get.headers["content-length"]


def test_openapi_yaml_is_served(client: Client) -> None:
    answer = client.request("GET", "/openapi.yaml")

    assert answer.status == 200
    assert answer.body.startswith(b"openapi: 3.1")


def test_probes_answer_on_the_instances_and_are_not_published(stack: RunningStack, app: Any) -> None:
    for number in (1, 2):
        for probe in ("live", "ready"):
            assert stack.instance(number).request("GET", f"/health/{probe}").status == 200
            check_problem(stack.wire.request("GET", f"/health/{probe}"), 404)


def test_every_answer_through_nginx_has_a_request_id(stack: RunningStack) -> None:
    answers = [stack.wire.request("GET", "/contagem-pessoas", headers={"X-Request-ID": "mine"}) for _ in range(2)]

    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 2
    assert "mine" not in ids


def test_the_example_of_the_contest_is_accepted(client: Client) -> None:
    """The rows of the table are variations of it, so each row fails because of its variation."""
    assert post(client, "/pessoas", {**PERSON, "apelido": new_nickname()}).status == 201
