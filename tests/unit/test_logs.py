"""Every log line of the service is JSON, and carries the id of the request that it belongs to."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import falcon.testing
import pytest

from service.app import create_app
from service.logs import JSONFormatter, hide_values


class FailingStore:
    """A store with a defect."""

    def count(self) -> int:
        raise KeyError("maria")


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
    assert lines[0]["message"] == "GET /contagem-pessoas failed"
    assert lines[0]["level"] == "ERROR"
    assert re.search(r"line \d+, in count\n.*\nKeyError$", lines[0]["exception"])


def test_a_defect_is_logged_with_the_errors_that_it_follows_from(log: io.StringIO) -> None:
    try:
        try:
            raise KeyError("maria")
        except KeyError as error:
            raise ValueError("José") from error
    except ValueError as error:
        logging.getLogger("service").error("failed", exc_info=error)

    assert re.fullmatch(r"  File .*\nKeyError\n  File .*\nValueError", json.loads(log.getvalue())["exception"], re.S)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "1366 Incorrect string value: 'maria' for column 'nome' at row 1",
            "1366 Incorrect string value: *** at row 1",
        ),
        ("1062 Duplicate entry 'o'brien\n'x' for key", "1062 Duplicate entry *** for key"),
        (
            "2003 Can't connect to MySQL server on 'localhost' (refused)",
            "2003 Can't connect to MySQL server on *** (refused)",
        ),
        ("2013 Lost connection to MySQL server during query", "2013 Lost connection to MySQL server during query"),
    ],
)
def test_values_that_a_message_of_mysql_quotes_are_hidden(message: str, shown: str) -> None:
    assert hide_values(message) == shown


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
