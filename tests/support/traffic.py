"""Answers read from a socket, and everyday traffic over kept connections in which each answer is checked."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Generator

from tests.support.client import Answer
from tests.support.people import new_nickname

HEADERS = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

Exchange = tuple[bytes, int, bytes]  # a request, the status it must get, and the body if that is known


def answers_in(received: bytes) -> tuple[list[Answer], bytes]:
    """Return the complete answers in `received`, and the rest."""
    found: list[Answer] = []
    while True:
        head, end, rest = received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        if not end or len(rest) < length:
            return found, received
        assert len(headers) == len(lines), "a header is repeated"
        found.append(Answer(int(status_line.split(" ")[1]), headers, rest[:length]))
        received = rest[length:]


class Traffic:
    """The results of `requests` requests by `clients` clients, each on one connection: one in five is a creation.

    The other requests read and search for the created person, count, or make one of the usual mistakes. Each client
    waits `pause` seconds after an answer.
    """

    def __init__(self, port: int, requests: int, clients: int = 8, pause: float = 0.0) -> None:
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.seconds: list[float] = []
        self._port = port
        self._pause = pause
        threads = [threading.Thread(target=self._run_client, args=(requests // clients,)) for _ in range(clients)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.duration = time.monotonic() - started

    def percentile(self, fraction: float) -> float:
        """Return a percentile of the seconds that the answers took."""
        return sorted(self.seconds)[int(len(self.seconds) * fraction)]

    def _run_client(self, requests: int) -> None:
        connection = self._connect()
        try:
            exchanges = self._exchanges()
            answer = None
            for _ in range(requests):
                request, status, body = exchanges.send(answer) if answer else next(exchanges)
                started = time.perf_counter()
                connection.sendall(request)
                answer = self._receive(connection)
                self.seconds.append(time.perf_counter() - started)
                self.statuses[answer.status] += 1
                if answer.status != status or (body and answer.body != body):
                    self.wrong.append(f"{status} expected: {answer}")
                if answer.headers["connection"] == "close":  # as nginx requires after every 1,000 requests
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

    def _exchanges(self) -> Generator[Exchange, Answer, None]:
        """Yield the next exchange; each answer is sent in."""
        while True:
            nickname = new_nickname()
            person = {"apelido": nickname, "nome": "Ana Nunes", "nascimento": "2000-01-01", "stack": ["C"]}
            body = json.dumps(person).encode()
            created: Answer = yield _request(b"POST /pessoas", body), 201, b""
            read = _request(f"GET {created.headers['location']}".encode())
            yield read, 200, created.body
            yield _request(f"GET /pessoas?t={nickname[:12].upper()}".encode()), 200, b"[" + created.body + b"]"
            yield read, 200, created.body
            yield OTHERS[int(nickname[0], 16) % len(OTHERS)] or (_request(b"POST /pessoas", body), 422, b"")


def _request(line: bytes, body: bytes = b"") -> bytes:
    return line + b" HTTP/1.1\r\n" + HEADERS % len(body) + body


OTHERS = [
    None,  # the same person again
    (_request(b"GET /contagem-pessoas"), 200, b""),
    (_request(b"POST /pessoas", b"{"), 400, b""),
    (_request(b"POST /users", b'{"nickname":"ana"}'), 422, b""),
    (_request(b"GET /pessoas"), 400, b""),
    (_request(b"GET /pessoas?t=no%20such%20person"), 200, b"[]"),
    (_request(b"GET /users/00000000-0000-7000-8000-000000000000"), 404, b""),
    (_request(b"DELETE /users"), 405, b""),
    (_request(b"POST /pessoas", b"a=b").replace(b"application/json", b"text/plain"), 415, b""),
]
