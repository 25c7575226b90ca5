"""openapi.yaml is valid, and its limits, paths and headers are those of the service and of nginx."""

import re

import falcon.inspect
import openapi_spec_validator

import service
from service.app import OPENAPI
from service.config import Config
from service.errors import Unavailable
from service.person import (
    ENGLISH,
    NAME_LENGTH,
    NICKNAME_LENGTH,
    OFFICIAL,
    SKILL_LENGTH,
    Dialect,
)
from service.resources import BODY_LIMIT
from service.search import LIMIT
from tests.support.openapi import (
    API,
    CLIENT,
    DIALECTS,
    NGINX,
    PARTS,
    nodes,
    operations,
    resolve,
)


def test_the_file_is_valid_openapi_3_1_and_names_this_release() -> None:
    openapi_spec_validator.validate(API)

    assert API["openapi"].startswith("3.1.")
    assert API["info"]["version"] == service.__version__


def test_no_status_begins_a_line_of_a_description() -> None:
    """Markdown makes a list of "404." at the beginning of a line."""
    assert re.findall(r"^ *\d{3}[.)] .*", OPENAPI.read_text(), re.MULTILINE) == []


def test_the_file_is_served_as_it_stands() -> None:
    answer = CLIENT.simulate_get("/openapi.yaml")

    assert answer.content == OPENAPI.read_bytes()
    assert answer.headers["content-type"] == "application/yaml"


def test_every_route_is_described_and_every_described_operation_is_routed() -> None:
    routed = {
        (method.method.lower(), re.sub(r"{\w+}", "{id}", route.path))
        for route in falcon.inspect.inspect_app(CLIENT.app).routes
        for method in route.methods
        if not method.internal  # OPTIONS, and the 405 of what has no responder
    }

    assert set(operations()) == routed


def test_the_paths_that_nginx_does_not_publish_are_described_as_unpublished() -> None:
    (prefix,) = re.findall(r"location (/\S+) {[^{}]* return 404; }", NGINX)

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
def test_a_search_returns_at_most_the_limit_of_the_store(dialect: Dialect) -> None:
    found = API["paths"][dialect.people]["get"]["responses"]["200"]

    assert found["content"]["application/json"]["schema"]["maxItems"] == LIMIT
    assert f"At most {LIMIT} people" in found["description"]


@DIALECTS
def test_a_search_has_the_parameter_of_the_dialect(dialect: Dialect) -> None:
    for method in ("get", "head"):
        (parameter,) = API["paths"][dialect.people][method]["parameters"]
        assert resolve(parameter)["name"] == dialect.term


def test_the_field_of_an_error_is_a_field_of_a_dialect() -> None:
    assert set(PARTS["schemas"]["Problem"]["properties"]["field"]["enum"]) == {*OFFICIAL[2:], *ENGLISH[2:]}


def test_retry_after_is_that_of_the_service_and_of_nginx() -> None:
    example = PARTS["headers"]["Retry-After"]["example"]

    assert example == Unavailable.retry_after
    assert f"add_header Retry-After {example} always;" in NGINX


def test_the_request_id_is_made_by_nginx() -> None:
    assert "X-Request-ID" in PARTS["headers"]
    assert "add_header X-Request-ID $request_id always;" in NGINX


def test_every_component_is_used() -> None:
    used = {node["$ref"] for node in nodes(API) if "$ref" in node}

    assert used == {f"#/components/{kind}/{name}" for kind, named in PARTS.items() for name in named}
