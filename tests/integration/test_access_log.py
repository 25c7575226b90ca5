"""The access log has each request as the client sent it, and says whether nginx or a worker has answered."""

import json
import re

import falcon.inspect
import pytest

from service.app import create_app
from tests.support.client import Answer
from tests.support.polling import wait_until
from tests.support.stack import RunningStack


def line_of(stack: RunningStack, answer: Answer) -> dict[str, str]:
    """Return the line of a request."""
    found: list[dict[str, str]] = []

    def is_logged() -> bool:
        lines = (stack.directory.log / "nginx-access.log").read_text().splitlines()
        found[:] = [json.loads(line) for line in lines if answer.headers["x-request-id"] in line]
        return bool(found)

    wait_until(is_logged)
    (line,) = found
    return line


@pytest.mark.parametrize(
    ("method", "body", "status", "upstream_status"),
    [
        ("POST", b"{", 400, "400"),
        ("PUT", b"", 405, "405"),
        ("GET", b"", 400, "400"),
        ("POST", b" " * 20_000, 413, ""),  # nginx answers itself
        ("BREW", b"", 405, ""),
        ("BREW-TEA", b"", 405, ""),
    ],
)
def test_a_request_is_logged_with_its_method_and_with_the_status_that_the_worker_answered(
    stack: RunningStack, method: str, body: bytes, status: int, upstream_status: str
) -> None:
    answer = stack.wire.request(method, "/pessoas", body)

    line = line_of(stack, answer)

    assert answer.status == status
    assert (line["method"], line["status"], line["upstream_status"]) == (method, str(status), upstream_status)
    assert bool(line["upstream"]) is bool(upstream_status)


def test_each_route_is_logged_as_it_is(stack: RunningStack) -> None:
    """An unknown path is logged as `***`, because it may be a name."""
    routes = falcon.inspect.inspect_app(create_app(None)).routes  # type: ignore[arg-type]
    paths = {re.sub(r"{\w+}", "01a220f8-d583-7a31-8894-f45ece5de753", route.path) for route in routes}
    answers = {path: stack.wire.request("GET", f"{path}?a") for path in paths}

    assert {line_of(stack, answer)["uri"] for answer in answers.values()} == paths
