"""Sends the requests of a measurement, each on a new connection, as the contest's load does."""

from typing import NamedTuple

from service.probe import connect

TIMEOUT = 30.0  # seconds


class Answer(NamedTuple):
    """The status and the body of an answer."""

    status: int
    body: bytes


def send(address: str, method: str, path: str, body: bytes = b"") -> Answer:
    """Send a request to HOST:PORT or unix:/PATH; raise OSError or HTTPException if it is not answered."""
    connection = connect(address, TIMEOUT)
    try:
        connection.request(method, path, body or None, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    finally:
        connection.close()
