"""Every log line of the service is JSON, and carries the id of the request that it belongs to."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import falcon.testing
import pytest

from service.app import create_app
from service.logs import JSONFormatter


class FailingStore:
    """A store with a defect."""

    def count(self) -> int:
        raise RuntimeError("a defect")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the service logs."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    logger = logging.getLogger("service")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


@pytest.fixture
def client() -> falcon.testing.TestClient:
    store: Any = FailingStore()
    return falcon.testing.TestClient(create_app(store))


def test_a_defect_is_logged_with_the_id_of_its_request_and_its_traceback(
    client: falcon.testing.TestClient, log: io.StringIO
) -> None:
    for number in (1, 2):
        client.simulate_get("/contagem-pessoas", headers={"X-Request-ID": f"id-{number}"})

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["request_id"] for line in lines] == ["id-1", "id-2"]
    assert lines[0]["message"] == "GET '/contagem-pessoas' failed"
    assert lines[0]["level"] == "ERROR"
    assert "RuntimeError: a defect" in lines[0]["exception"]


def test_a_request_without_an_id_does_not_get_the_id_of_another_request(
    client: falcon.testing.TestClient, log: io.StringIO
) -> None:
    client.simulate_get("/health/live", headers={"X-Request-ID": "id-1"})
    client.simulate_get("/contagem-pessoas")

    (line,) = log.getvalue().splitlines()
    assert json.loads(line)["request_id"] == ""


def test_a_message_of_several_lines_is_one_line(log: io.StringIO) -> None:
    logging.getLogger("service").error("first\nsecond é")

    (line,) = log.getvalue().splitlines()
    assert json.loads(line)["message"] == "first\nsecond é"
