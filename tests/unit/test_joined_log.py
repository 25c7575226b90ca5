"""The lines of nginx and of the instances are joined by request, and shown without terms and names."""

import json
from typing import Any

import pytest

from ops.watch.joined_log import PATIENCE, Entry, Joiner, Message, Request, join, parse_message, parse_request
from ops.watch.log_text import LogFilter, LogText, hide_terms

ID = "01a220f8-d583-7a31-8894-f45ece5de753"
NGINX = {
    "time": "2026-11-28T07:05:29+00:00", "request_id": "72cf", "client": "127.0.0.1", "method": "GET",
    "uri": "/pessoas?t=maria", "status": "503", "bytes": "139", "seconds": "0.962",
    "upstream": "unix:/run/rinha/api1.1.sock, unix:/run/rinha/api2.1.sock", "upstream_status": "502, 503",
    "upstream_seconds": "0.962",
}  # fmt: skip
SERVICE = {
    "time": "2026-11-28T07:05:29.870+00:00", "level": "WARNING", "pid": 2044, "request_id": "72cf",
    "message": "MySQL: 2013 Lost connection",
}  # fmt: skip


def request(time: float = 10.0, **fields: Any) -> Request:
    return Request(time, "a", "GET", "/pessoas?t=maria", 200, 3, "api1.1")._replace(**fields)


def message(time: float = 9.0, request_id: str = "a", **fields: Any) -> Message:
    return Message(time, "api1", "WARNING", request_id, "late")._replace(**fields)


def text_of(entry: Entry, show_terms: bool = False) -> list[str]:
    return [line[21:] for line in LogText(lambda text, style: text, show_terms).lines(entry)]


def test_a_request_is_shown_with_the_messages_of_its_id() -> None:
    parsed = parse_request(json.dumps(NGINX).encode())
    assert parsed
    (entry,) = join([parsed], [[parse_message(json.dumps(SERVICE).encode(), "api1", 0.0)]])

    assert text_of(entry) == [
        "503     962 ms  api1.1, api2.1  72cf  GET  /pessoas?t=***",
        "WARNING  api1  MySQL: 2013 Lost connection",
    ]


@pytest.mark.parametrize(
    ("upstream", "upstream_status", "shown"),
    [
        ("unix:/run/rinha/api1.1.sock", "503", "api1.1"),
        ("unix:/run/rinha/api1.1.sock", "502", "api1.1, nginx"),
        ("unix:/run/rinha/api1.1.sock, unix:/run/rinha/api2.1.sock", "504, 502", "api1.1, api2.1, nginx"),
        ("people", "502", "people, nginx"),
        ("", "", "nginx"),
    ],
)
def test_a_request_that_nginx_answered_itself_says_so(upstream: str, upstream_status: str, shown: str) -> None:
    parsed = parse_request(json.dumps({**NGINX, "upstream": upstream, "upstream_status": upstream_status}).encode())

    assert parsed
    assert parsed.upstream == shown


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'"x"', b'{"time":"now"}', json.dumps(NGINX).encode()[9:]])
def test_a_cut_line_of_nginx_is_no_request(line: bytes) -> None:
    assert parse_request(line) is None


def test_text_that_is_no_json_is_an_error_of_the_time_before() -> None:
    assert parse_message(b"Fatal Python error", "api1", 7.0) == Message(7.0, "api1", "ERROR", "", "Fatal Python error")


def test_entries_come_in_the_order_of_their_times() -> None:
    requests = [request(5.0, id="a"), request(20.0, id="b")]
    messages = [[message(4.0, "a"), message(6.0, "")], [message(4.5, "a"), message(19.0, "b")]]

    entries = list(join(requests, messages))

    assert [entry.time for entry in entries] == [5.0, 6.0, 20.0]
    assert [[one.time for one in entry.messages] for entry in entries] == [[4.0, 4.5], [6.0], [19.0]]


def test_a_message_without_a_line_of_nginx_is_shown_later() -> None:
    joiner = Joiner()
    assert list(joiner.add(message(1.0))) == []
    assert list(joiner.release(1.0 + PATIENCE)) == []

    assert list(joiner.release(1.1 + PATIENCE)) == [Entry(1.0, None, [message(1.0)])]
    assert list(joiner.release(99.0)) == []
    assert list(join([], [[message(1.0)]])) == [Entry(1.0, None, [message(1.0)])]


@pytest.mark.parametrize(
    ("accepted", "slow", "errors"),
    [
        (Entry(0, request(), []), None, False),
        (Entry(0, request(milliseconds=100), []), 100, False),
        (Entry(0, request(status=503), []), None, True),
        (Entry(0, request(), [message()]), None, True),
        (Entry(0, None, [message()]), None, True),
        (Entry(0, request(milliseconds=100), []), 100, True),
        (Entry(0, request(status=503), []), 100, True),
    ],
)
def test_entries_are_chosen_by_slowness_and_errors(accepted: Entry, slow: int | None, errors: bool) -> None:
    assert LogFilter(slow, errors).accepts(accepted)


@pytest.mark.parametrize(
    ("refused", "slow", "errors"),
    [
        (Entry(0, request(milliseconds=99), []), 100, False),
        (Entry(0, request(status=503), []), 100, False),
        (Entry(0, None, [message()]), 100, False),
        (Entry(0, request(status=422, milliseconds=100), [message(level="INFO")]), None, True),
    ],
)
def test_other_entries_are_left_out(refused: Entry, slow: int | None, errors: bool) -> None:
    assert not LogFilter(slow, errors).accepts(refused)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("/pessoas?t=maria", "/pessoas?t=***"),
        ("/users?q=a&q=b&maria&x=ana", "/users?q=***&q=***&***&***"),
        (f"/pessoas/{ID}", f"/pessoas/{ID}"),
        ("/pessoas/maria", "/pessoas/***"),
        (f"/users/{ID}-maria", "/users/***"),
        ("/contagem-pessoas", "/contagem-pessoas"),
        ("/pessoas?", "/pessoas?***"),
    ],
)
def test_terms_and_names_are_hidden(uri: str, shown: str) -> None:
    assert hide_terms(uri) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("MySQL: 2013 Lost connection", "MySQL: 2013 Lost connection"),
        ("GET '/pessoas/maria' failed", "GET *** failed"),
        ("KeyError: 'maria'\nd['x']\nline 3", "KeyError: ***\n  d[***]\n  line 3"),
    ],
)
def test_values_that_a_message_quotes_are_hidden(text: str, shown: str) -> None:
    assert "\n".join(text_of(Entry(0, None, [message(text=text)]))) == f"WARNING  api1  {shown}"


def test_terms_are_shown_if_they_are_asked_for() -> None:
    entry = Entry(0, request(uri="/pessoas?t=jos%C3%A9"), [message(text="KeyError: 'maria'")])

    assert text_of(entry, show_terms=True) == [
        "200       3 ms  api1.1  a  GET  /pessoas?t=josé",
        "WARNING  api1  KeyError: 'maria'",
    ]


@pytest.mark.parametrize("show_terms", [False, True])
def test_nothing_that_is_shown_can_control_the_terminal(show_terms: bool) -> None:
    entry = Entry(0, request(uri="/%1b[2J\x1b[2J"), [message(text="a\x1b[2J\nb\x07")])

    assert all(line.isprintable() for line in text_of(entry, show_terms))
    assert len(text_of(entry)) == 3
