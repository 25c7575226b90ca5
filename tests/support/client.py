"""One way to ask the application, in process or over the wire, so that the same tests can do both."""

import json
from typing import Any, NamedTuple, Protocol

import falcon.testing

from service.probe import connect


class Answer(NamedTuple):
    """What came back; `headers` have names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client(Protocol):
    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer: ...


class InProcess:
    """Calls the WSGI application."""

    def __init__(self, app: Any) -> None:
        self._client = falcon.testing.TestClient(app)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        path, _, query = path.partition("?")
        result = self._client.simulate_request(method, path, query_string=query, body=body, headers=headers)
        return Answer(result.status_code, {k.lower(): v for k, v in result.headers.items()}, result.content)


class OverTheWire:
    """Speaks HTTP to a port, or to a unix socket, on a new connection each time as the contest does."""

    def __init__(self, address: int | str, timeout: float = 30) -> None:
        self._address = f"127.0.0.1:{address}" if isinstance(address, int) else f"unix:{address}"
        self._timeout = timeout

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        connection = connect(self._address, self._timeout)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


def post(client: Client, path: str, document: object) -> Answer:
    """Send a JSON document."""
    return client.ask("POST", path, json.dumps(document).encode(), {"Content-Type": "application/json"})
