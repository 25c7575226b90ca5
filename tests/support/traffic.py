"""Answers as they come off a socket, and everyday traffic over kept connections, each answer checked."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Generator

from tests.support.client import Answer
from tests.support.people import nickname

HEADERS = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

Ask = tuple[bytes, int, bytes]  # what is sent, the status that must come, and the body where it is known


def answers_in(received: bytes) -> tuple[list[Answer], bytes]:
    """Return the whole answers in `received`, and what is left over."""
    found = []
    while True:
        head, end, rest = received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        if not end or len(rest) < length:
            return found, received
        assert len(headers) == len(lines), "a header is there twice"
        found.append(Answer(int(status_line.split(" ")[1]), headers, rest[:length]))
        received = rest[length:]


class Traffic:
    """What `clients` got that sent `requests` in all, each over one connection: one in five a creation.

    The others read and search who was just created, count, or make one of the usual mistakes. With `pause`,
    each waits that many seconds after an answer.
    """

    def __init__(self, port: int, requests: int, clients: int = 8, pause: float = 0.0) -> None:
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.seconds: list[float] = []
        self._port = port
        self._pause = pause
        threads = [threading.Thread(target=self._client, args=(requests // clients,)) for _ in range(clients)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.lasted = time.monotonic() - started

    def percentile(self, share: float) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * share)]

    def _client(self, requests: int) -> None:
        connection = self._connect()
        try:
            asks = self._asks()
            answer = None
            for _ in range(requests):
                sent, status, body = asks.send(answer) if answer else next(asks)
                started = time.perf_counter()
                connection.sendall(sent)
                answer = self._receive(connection)
                self.seconds.append(time.perf_counter() - started)
                self.statuses[answer.status] += 1
                if answer.status != status or (body and answer.body != body):
                    self.wrong.append(f"{status} expected: {answer}")
                if answer.headers["connection"] == "close":  # as nginx says after every 1,000
                    connection.close()
                    connection = self._connect()
                time.sleep(self._pause)
        except Exception as error:
            self.wrong.append(repr(error))
        finally:
            connection.close()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _receive(self, connection: socket.socket) -> Answer:
        received = b""
        while data := connection.recv(65536):
            received += data
            answers, rest = answers_in(received)
            if answers:
                assert not rest
                return answers[0]
        raise ConnectionError("nginx has closed a connection that was in use")

    def _asks(self) -> Generator[Ask, Answer, None]:
        """Yield what to ask next; is sent each answer."""
        while True:
            nick = nickname()
            body = json.dumps(
                {"apelido": nick, "nome": "Ana Nunes", "nascimento": "2000-01-01", "stack": ["C"]}
            ).encode()
            created: Answer = yield _request(b"POST /pessoas", body), 201, b""
            one = _request(f"GET {created.headers['location']}".encode())
            yield one, 200, created.body
            yield _request(f"GET /pessoas?t={nick[:12].upper()}".encode()), 200, b"[" + created.body + b"]"
            yield one, 200, created.body
            yield OTHERS[int(nick[0], 16) % len(OTHERS)] or (_request(b"POST /pessoas", body), 422, b"")


def _request(line: bytes, body: bytes = b"") -> bytes:
    return line + b" HTTP/1.1\r\n" + HEADERS % len(body) + body


OTHERS = [
    None,  # the same person again
    (_request(b"GET /contagem-pessoas"), 200, b""),
    (_request(b"POST /pessoas", b"{"), 400, b""),
    (_request(b"POST /users", b'{"nickname":"ana"}'), 422, b""),
    (_request(b"GET /pessoas"), 400, b""),
    (_request(b"GET /pessoas?t=nobody%20at%20all"), 200, b"[]"),
    (_request(b"GET /users/00000000-0000-7000-8000-000000000000"), 404, b""),
    (_request(b"DELETE /users"), 405, b""),
    (_request(b"POST /pessoas", b"a=b").replace(b"application/json", b"text/plain"), 415, b""),
]
