"""Renders the entries of the joined log for people. Search terms and names are hidden unless they are asked for."""

import re
import time
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_plus

from ops.terminal import Paint
from ops.watch.joined_log import Entry, Message, Request
from service.logs import hide_values
from service.person import ENGLISH, OFFICIAL

HIDDEN = "***"
INDENT = " " * 21  # the width of a date and a time, with the gap after them

_PEOPLE = "|".join((OFFICIAL.people, ENGLISH.people))
_NOT_AN_ID = re.compile(rf"({_PEOPLE})/(?![0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$).+", re.IGNORECASE)
_TERMS = re.compile(rf"({OFFICIAL.term}|{ENGLISH.term})=.*")
_LEVELS = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "bold red"}


class LogFilter(NamedTuple):
    """Which entries are shown: all of them, or those that are slow or failed.

    A request of `slow` milliseconds or more is slow. A request that was answered 500 or more has failed, and so has an
    entry with a message of level WARNING or above. An entry is shown if one of the given filters accepts it.
    """

    slow: int | None = None
    errors: bool = False

    def accepts(self, entry: Entry) -> bool:
        """Return whether an entry is shown."""
        if self.slow is None and not self.errors:
            return True
        request = entry.request
        is_slow = self.slow is not None and request is not None and request.milliseconds >= self.slow
        has_failed = (request is not None and request.status >= 499) or any(
            message.level not in ("DEBUG", "INFO") for message in entry.messages
        )
        return is_slow or (self.errors and has_failed)


class LogText(NamedTuple):
    """How entries become text: their colours, and whether search terms and names are shown."""

    paint: Paint
    show_terms: bool = False

    def lines(self, entry: Entry) -> Iterator[str]:
        """Yield the lines of an entry."""
        date = time.strftime("%Y-%m-%d %H:%M:%S  ", time.localtime(entry.time)) if entry.time else INDENT
        if entry.request:
            yield date + self._request(entry.request)
        for number, message in enumerate(entry.messages):
            first = INDENT if entry.request or number else date
            for index, line in enumerate(self._message(message)):
                yield (INDENT if index else first) + line

    def _request(self, request: Request) -> str:
        style = "bold red" if request.status >= 499 else "yellow" if request.status >= 400 else "green"
        duration = f"{request.milliseconds:>6,} ms"
        return "  ".join(
            (
                self.paint(str(request.status), style),
                self.paint(duration, "yellow") if request.milliseconds >= 1000 else duration,
                f"{request.upstream:<6}",
                self.paint(request.id, "dim"),
                f"{request.method:<4} {printable(self._uri(request.uri))}",
            )
        )

    def _message(self, message: Message) -> Iterator[str]:
        lines = message.text.splitlines() or [""]
        first, *others = map(printable, lines if self.show_terms else map(hide_values, lines))
        yield f"{self.paint(message.level, _LEVELS.get(message.level, ''))}  {message.instance}  {first}"
        yield from (f"  {line}" for line in others)

    def _uri(self, uri: str) -> str:
        return unquote_plus(uri) if self.show_terms else hide_terms(uri)


def hide_terms(uri: str) -> str:
    """Return a URI without the values that may be a search term or a name."""
    path, mark, query = uri.partition("?")
    path = _NOT_AN_ID.sub(rf"\1/{HIDDEN}", path)
    parts = [_TERMS.sub(rf"\1={HIDDEN}", part) if _TERMS.fullmatch(part) else HIDDEN for part in query.split("&")]
    return path + (mark + "&".join(parts) if mark else "")


def printable(text: str) -> str:
    """Return a text without characters that can control a terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
