"""One interface to the application, in process and over the wire, so that the same tests can use both."""

import json
from typing import Any, NamedTuple, Protocol

import falcon.testing

from service.probe import connect


class Answer(NamedTuple):
    """An HTTP response; the names in `headers` are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the document in the body."""
        return json.loads(self.body)


class Client(Protocol):
    """Sends a request and returns the answer."""

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer: ...


class InProcess:
    """Calls the WSGI application."""

    def __init__(self, app: Any) -> None:
        self._client = falcon.testing.TestClient(app)

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        path, _, query = path.partition("?")
        result = self._client.simulate_request(method, path, query_string=query, body=body, headers=headers)
        return Answer(result.status_code, {k.lower(): v for k, v in result.headers.items()}, result.content)


class OverTheWire:
    """Speaks HTTP to a port or a unix socket, each time on a new connection, as the contest does."""

    def __init__(self, address: int | str, timeout: float = 30) -> None:
        self._address = f"127.0.0.1:{address}" if isinstance(address, int) else f"unix:{address}"
        self._timeout = timeout

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        connection = connect(self._address, self._timeout)
        try:
            connection.request(method, path, body or None, headers or {})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


def post(client: Client, path: str, document: object) -> Answer:
    """Send a JSON document."""
    return client.request("POST", path, json.dumps(document).encode(), {"Content-Type": "application/json"})
