"""A small client of the running service, for people."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from ops.errors import OperatorError
from service.person import OFFICIAL


def request(url: str, path: str, document: dict[str, Any] | None = None) -> Any:
    """Send a GET, or a POST of `document`; return the JSON of the answer, or a number for plain text.

    Raises OperatorError with the service's own words for any other answer than 2xx.
    """
    body = None if document is None else json.dumps(document).encode()
    try:
        asked = urllib.request.Request(url.rstrip("/") + path, body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise OperatorError(_reason(error)) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise OperatorError(
            f"{url} does not answer as the service does ({_line(error)}); ./rinha up starts it"
        ) from None


def search_path(term: str) -> str:
    """Return the path and query that search for `term`."""
    return f"{OFFICIAL.people}?" + urllib.parse.urlencode({OFFICIAL.term: term})


def person_path(identifier: str) -> str:
    """Return the path of a person."""
    return f"{OFFICIAL.people}/" + urllib.parse.quote(identifier, safe="")


def line(person: dict[str, Any]) -> str:
    """Return a person as one line for people."""
    skills = ", ".join(person["stack"] or []) or "-"
    return f"{person['id']}  {person['apelido']}  {person['nome']}  {person['nascimento']}  {skills}"


def show(person: dict[str, Any], as_json: bool) -> None:
    """Print a person, for people or as the service answers."""
    print(json.dumps(person, ensure_ascii=False) if as_json else line(person))


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return f"{error.code}: {json.loads(error.read())['detail']}"
    except (ValueError, KeyError):
        return f"{error.code}: {error.reason}"
