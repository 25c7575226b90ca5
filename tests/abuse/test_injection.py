"""Text of a client is data everywhere: in SQL, in match expressions, in logs, in headers and on a terminal."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ops.client import line
from service.app import create_app
from tests.support.client import Client, InProcess, post
from tests.support.people import create_person, new_nickname
from tests.support.polling import wait_until
from tests.support.stack import SMALL, RunningStack, running_stack
from tests.support.traffic import answers_in

HOSTILE = [
    "'; DROP TABLE pessoas; --", '" OR ""="', "') OR 1=1 -- ", "\\' OR 1=1 #", "x' UNION SELECT user()",
    "/*!50000 OR 1*/", "%s %(a)s {0}", "$(id) `id`", "+ana -bia", "ana*", '"ana bia"@2', ">ana <bia ~", "(ana)", "%",
    "_", "<script>alert(1)</script>", "../../etc/passwd", "\u202e\u2066abc", "\u2028x\u2029",
]  # fmt: skip
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all control characters but the newline


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_stored_found_and_answered_as_it_is(client: Client, text: str) -> None:
    nick = new_nickname()
    before = int(client.request("GET", "/contagem-pessoas").body)
    sent = {"apelido": f"{nick[:8]}{text}"[:32], "nome": f"{nick} {text}", "nascimento": "2000-01-01", "stack": [text]}

    answer = post(client, "/pessoas", sent)

    assert answer.status == 201
    assert {**answer.json(), **sent} == answer.json() == client.request("GET", answer.headers["location"]).json()
    term = quote(f"{nick} {text}", safe="")
    assert client.request("GET", f"/pessoas?t={term}").json() == [answer.json()]
    assert client.request("GET", f"/pessoas?t={term}x").json() == []
    assert client.request("GET", f"/pessoas/{quote(text, safe='')}").status in (404, 400)  # 400: above the root
    assert int(client.request("GET", "/contagem-pessoas").body) == before + 1
    assert not CONTROL.search(line(answer.json()))


def test_no_text_splits_a_header(stack: RunningStack) -> None:
    """No header contains text of a client."""
    for path in ("/pessoas?t=a%0d%0aX-Evil:%201", "/pessoas/%0d%0aX-Evil:%201", "/%0d%0aX-Evil:%201"):
        answer = stack.wire.request("GET", path, headers={"X-Request-ID": "evil", "Origin": "evil", "X-Evil": "1"})
        assert "evil" not in repr(answer.headers).lower()
    created = create_person(stack.wire, nome="a\u2028b")
    assert re.fullmatch("/pessoas/[0-9a-f-]{36}", created.headers["location"])


@pytest.fixture
def stack_with_terms(tmp_path: Path) -> Iterator[RunningStack]:
    """Yield a stack whose logs have the text of requests."""
    with running_stack(tmp_path, *SMALL, "--log-terms") as stack:
        yield stack


# Each request becomes a line of the access log. A request with a too large body becomes a line of the error log too.
NASTY_REQUESTS = [
    b"GET /pessoas?t=%0A%7B%22forged%22%3A1%7D%1b%5B31m HTTP/1.1\r\nHost: x\r\n",
    b'GET /pessoas?t=","forged":"1 HTTP/1.1\r\nHost: x\r\n',
    b"GET /pessoas?t=\\x1b\\u001b HTTP/1.1\r\nHost: x\r\n",
    b"GET /pessoas?t=\xc2\x9b31m HTTP/1.1\r\nHost: x\r\n",
    b"GET /pessoas?t=\x1b[31m HTTP/1.1\r\nHost: x\r\n",
    b"GET /pessoas?t=\x7f\xff\xfe HTTP/1.1\r\nHost: x\r\n",
    b"GET /\x1b]0;owned\x07 HTTP/1.1\r\nHost: x\r\n",
    b"\x1b[31m /pessoas HTTP/1.1\r\nHost: x\r\n",
    b"GET /pessoas HTTP/1.1\r\nHost: x\r\nUser-Agent: \x1b[31m\r\nX-Request-ID: \x1b[31m\r\nCookie: \x1b[31m\r\n",
    b"GET /pessoas HTTP/1.1\r\nHost: x\xc2\x9b31m\r\n",
    b"GET http://x\xc2\x9b31m/pessoas HTTP/1.1\r\nHost: x\r\n",
    b"POST /pessoas?\xc2\x9b31m HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n",
    b"POST http://x\xc2\x9b31m/pessoas HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n",
    b"POST /pessoas HTTP/1.1\r\nHost: x\xc2\x9b31m\r\nContent-Length: 99999\r\n",
    b"POST /pessoas HTTP/1.1\r\nHost: x\r\nReferer: \x1b[31m\r\nContent-Length: 99999\r\n",
    b"POST /health/ HTTP/1.1\r\nHost: x\r\nReferer: \xc2\x9b31m\r\nContent-Length: 99999\r\n",
    b"POST /pessoas HTTP/1.1\r\nHost: x\r\nReferer: http://x/ marker\r\nContent-Length: 99999\r\n",
]


def test_no_request_forges_a_log_line_or_commands_the_terminal_that_shows_it(stack_with_terms: RunningStack) -> None:
    stack = stack_with_terms
    logs = {name: stack.data / "log" / name for name in ("nginx-access.log", "nginx-error.log", "api1.log")}
    stack.wire.request("GET", f"/pessoas?t={(mark := new_nickname())}")
    wait_until(lambda: mark in logs["nginx-access.log"].read_text())
    before = {name: path.stat().st_size for name, path in logs.items()}
    for request in NASTY_REQUESTS:
        with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as connection:
            connection.sendall(request + b"Connection: close\r\n\r\n")
            received = b""
            while not answers_in(received)[0]:
                received += connection.recv(65536) or pytest.fail("no answer")
            assert answers_in(received)[0][0].status in (200, 400, 413)

    def added(name: str) -> bytes:
        with logs[name].open("rb") as log:
            log.seek(before[name])
            return log.read()

    # nginx writes its logs once a second, and the line of a client that lingers when that client has left.
    wait_until(lambda: added("nginx-access.log").count(b"\n") >= len(NASTY_REQUESTS), 20)
    lines = [json.loads(one) for one in added("nginx-access.log").decode("ascii").splitlines()]
    assert len(lines) == len(NASTY_REQUESTS)
    assert len({tuple(one) for one in lines}) == 1, "a request has added a key"
    assert b"marker" in added("nginx-error.log"), "the text of the request is in no log"
    for name in logs:
        assert not CONTROL.search(added(name).decode("ascii")), name


def test_a_defect_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def fail(req: Any, resp: Any, **fields: Any) -> None:
        raise ZeroDivisionError

    store: Any = None
    app = create_app(store)
    app.add_sink(fail, "/defect")

    assert InProcess(app).request("GET", "/defect/%0A2026-11-22 forged%1b[31m%9b").status == 500

    (record,) = caplog.records
    assert not CONTROL.search(record.getMessage())
    assert "\n" not in record.getMessage()
