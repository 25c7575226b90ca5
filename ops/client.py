"""A client of the running service, for the commands that print people."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from ops.console import show_json
from ops.errors import OperatorError
from service.person import OFFICIAL

TIMEOUT = 30.0  # seconds
GAP = "  "  # between two fields of a person


def request(url: str, path: str, document: dict[str, Any] | None = None) -> Any:
    """Send a GET of `path`, or a POST of `document`; return the parsed JSON of the answer.

    Plain text that is a number is JSON too. Raises OperatorError if the service answers an error, with the status and
    the detail of the error, and if no service answers at `url`.
    """
    body = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json"}
    try:
        http_request = urllib.request.Request(url.rstrip("/") + path, body, headers)  # noqa: S310
        with _opener(http_request.host).open(http_request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise OperatorError(_problem(error)) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise OperatorError(
            f"the service does not answer at {url} ({_one_line(error)}); ./rinha up starts it, "
            "and --url names another address"
        ) from None


def _opener(address: str) -> urllib.request.OpenerDirector:
    """Return what opens URLs of an address: past the proxies of the environment if the address is this machine's."""
    host = urllib.parse.urlsplit(f"//{address}").hostname or ""
    is_local = host in ("localhost", "::1") or host.startswith("127.")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_local else []))


def search_path(term: str) -> str:
    """Return the path and query of a search for `term`."""
    return f"{OFFICIAL.people}?" + urllib.parse.urlencode({OFFICIAL.term: term})


def person_path(identifier: str) -> str:
    """Return the path of the person with this id."""
    return f"{OFFICIAL.people}/" + urllib.parse.quote(identifier, safe="")


def fields(person: dict[str, Any]) -> list[str]:
    """Return the fields of a person of the official dialect as texts."""
    names = ("id", OFFICIAL.nickname, OFFICIAL.name, OFFICIAL.birth_date)
    return [*(person[name] for name in names), ", ".join(person[OFFICIAL.skills] or []) or "-"]


def line(person: dict[str, Any]) -> str:
    """Return a person of the official dialect as one line of text."""
    return GAP.join(fields(person))


def print_person(person: dict[str, Any], as_json: bool) -> None:
    """Print a person as one line of text, or as the JSON of the service."""
    if as_json:
        show_json(person)
    else:
        print(line(person))


def _one_line(error: Exception) -> str:
    """Return the reason of an error as one line."""
    reason = getattr(error, "reason", error)  # URLError holds the error of the connection
    text = str(getattr(reason, "strerror", None) or reason)
    return " ".join(text.split()) or type(error).__name__


def _problem(error: urllib.error.HTTPError) -> str:
    """Return the status and the detail of an error answer, or the reason phrase if the answer has no detail."""
    try:
        return f"{error.code}: {json.loads(error.read())['detail']}"
    except (ValueError, KeyError):
        return f"{error.code}: {error.reason}"
