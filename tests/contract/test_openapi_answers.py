"""Every answer of the service and of nginx is as openapi.yaml describes it, and every described answer is given.

The tests need no database: the description does not depend on the stored people.
"""

import json
from http import HTTPStatus
from typing import Any

import falcon.testing
import pytest
import yaml

from service.app import PROBLEM
from service.errors import ServiceError
from tests.support.openapi import (
    API,
    CLIENT,
    METHODS,
    PARTS,
    REQUESTS,
    DescribedRequest,
    errors,
    operations,
    problems_of_nginx,
    resolve,
    validator,
)


@pytest.mark.parametrize(
    "request_sent", REQUESTS, ids=lambda one: f"{one.method} {one.path} {one.error and one.error.__name__}"
)
def test_an_answer_is_as_described(request_sent: DescribedRequest) -> None:
    answer = request_sent.answer()

    success = 201 if request_sent.method == "post" else 200
    assert answer.status_code == (request_sent.error.status if request_sent.error else success)
    operation = operations()[request_sent.method, request_sent.path]
    described = resolve(operation["responses"][str(answer.status_code)])
    check_headers(answer, described)
    if request_sent.method == "head":
        assert "content" not in described
        return
    content_type = answer.headers["content-type"].partition(";")[0]
    assert set(described["content"]) == {content_type}
    body = yaml.safe_load(answer.content) if "yaml" in content_type else json.loads(answer.content)
    validator(described["content"][content_type]["schema"]).validate(body)


def check_headers(answer: falcon.testing.Result, described: dict[str, Any]) -> None:
    """Check that an answer has the required headers, with valid values."""
    for name, header in described.get("headers", {}).items():
        schema = resolve(header)["schema"]
        if resolve(header).get("required"):
            value = int(answer.headers[name]) if schema["type"] == "integer" else answer.headers[name]
            validator(schema).validate(value)


@pytest.mark.parametrize("operation", operations(), ids=" ".join)
def test_every_described_status_is_an_actual_answer(operation: tuple[str, str]) -> None:
    actual = {str(one.answer().status_code) for one in REQUESTS if (one.method, one.path) == operation}

    assert set(operations()[operation]["responses"]) - {"405", "default"} == actual


def test_every_error_of_the_service_is_described() -> None:
    """The base class stands for a defect, which no request can cause."""
    assert {one.error for one in REQUESTS if one.error} == errors() - {ServiceError}
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
