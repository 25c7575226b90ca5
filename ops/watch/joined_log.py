"""Joins the lines of nginx's access log and of the instances' logs by the id of the request."""

import heapq
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

PATIENCE = 5.0  # seconds in which nginx's line of a request follows the instance's; a request is answered within 2 s
SAME_SECOND = 0.999  # seconds: the access log has whole seconds, and a request's other lines come before its end


class Request(NamedTuple):
    """A line of nginx's access log.

    `time` is in seconds since the epoch. `upstream` names the worker, and nginx if nginx has made the answer itself.
    """

    time: float
    id: str
    method: str
    uri: str
    status: int
    milliseconds: int
    upstream: str


class Message(NamedTuple):
    """A line of an instance's log. `text` may have several lines; `request_id` is empty if it belongs to no request."""

    time: float
    instance: str
    level: str
    request_id: str
    text: str


class Entry(NamedTuple):
    """What the logs have of one request, or a message that belongs to none."""

    time: float
    request: Request | None
    messages: list[Message]


def parse_request(line: bytes) -> Request | None:
    """Return the request of a line of the access log; None if it is not one, such as the rest of a cut line."""
    try:
        found = json.loads(line)
        tried = [server.rpartition("/")[2].removesuffix(".sock") for server in found["upstream"].split(", ") if server]
        *_, last = found["upstream_status"].split(", ")
        return Request(
            _seconds(found["time"]) + SAME_SECOND,
            found["request_id"],
            found["method"],
            found["uri"],
            int(found["status"]),
            round(float(found["seconds"]) * 1000),
            ", ".join(tried if tried and last == found["status"] else [*tried, "nginx"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def parse_message(line: bytes, instance: str, before: float) -> Message:
    """Return the message of a line of an instance's log. Other text, such as Python's own, is of the time `before`."""
    try:
        found = json.loads(line)
        text = "\n".join(filter(None, (found["message"], found.get("exception"))))
        return Message(_seconds(found["time"]), instance, found["level"], found["request_id"], text)
    except (ValueError, KeyError, TypeError):
        return Message(before, instance, "ERROR", "", line.decode(errors="replace"))


def parse_messages(lines: Iterable[bytes], instance: str) -> Iterator[Message]:
    """Yield the messages of lines of an instance's log."""
    before = 0.0
    for line in lines:
        message = parse_message(line, instance, before)
        before = message.time
        yield message


class Joiner:
    """Joins requests and messages that arrive in the order of their times."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Message]] = {}

    def add(self, line: Request | Message) -> Iterator[Entry]:
        """Take a line; yield the entries that are complete by it."""
        if isinstance(line, Request):
            yield Entry(line.time, line, self._waiting.pop(line.id, []))
        elif line.request_id:
            self._waiting.setdefault(line.request_id, []).append(line)
        else:
            yield Entry(line.time, None, [line])

    def release(self, now: float) -> Iterator[Entry]:
        """Yield the messages whose request has no line of nginx, `PATIENCE` seconds after they came."""
        late = [key for key, messages in self._waiting.items() if messages[-1].time < now - PATIENCE]
        for key in late:
            messages = self._waiting.pop(key)
            yield Entry(messages[0].time, None, messages)


def join(requests: Iterable[Request], messages: Iterable[Iterable[Message]]) -> Iterator[Entry]:
    """Yield the entries of complete logs, each in the order of its times."""
    joiner = Joiner()
    lines: Iterator[Request | Message] = heapq.merge(requests, *messages, key=lambda line: line.time)
    for line in lines:
        yield from joiner.release(line.time)
        yield from joiner.add(line)
    yield from joiner.release(float("inf"))


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
