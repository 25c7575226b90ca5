"""The resources of the contract: people in each dialect, health, and the OpenAPI description."""

import re
from urllib.parse import unquote_to_bytes

import falcon
from falcon import Request, Response

from service.document import read_object, to_json
from service.errors import BadRequest, ContentTooLarge, NicknameTaken, NotFound, UnsupportedMediaType
from service.person import Dialect, format_id, parse_id, parse_person
from service.store import PeopleStore

BODY_LIMIT = 16384  # bytes, as client_max_body_size in lb/nginx.conf

_JSON = re.compile(r"\s*(application/json|[^;\s]+/[^;\s]+\+json|text/json|\*/\*)\s*(;.*)?", re.IGNORECASE)


class People:
    """People in one dialect: create, search, get by id, count."""

    # PERF: no `response.media`, which costs a creation and a read by id 13 us of CPU of 469 us (decision 11).

    def __init__(self, store: PeopleStore, dialect: Dialect) -> None:
        self._store = store
        self._dialect = dialect

    def on_post(self, request: Request, response: Response) -> None:
        """Store the person in the body; answer 201 and its Location once the person is durable."""
        dialect = self._dialect
        content_type = request.content_type
        if content_type and content_type != falcon.MEDIA_JSON and not _JSON.fullmatch(content_type):
            raise UnsupportedMediaType("the Content-Type is not application/json")
        body = request.stream.read(BODY_LIMIT + 1)  # bounded_stream would be empty without a Content-Length
        if len(body) > BODY_LIMIT:
            raise ContentTooLarge(f"the body is larger than {BODY_LIMIT} bytes")
        person = parse_person(read_object(body), dialect)
        try:
            self._store.add(person)
        except NicknameTaken:
            raise NicknameTaken(f"{dialect.nickname} is taken", dialect.nickname) from None
        response.status = falcon.HTTP_201
        response.location = f"{dialect.people}/{format_id(person.id)}"
        response.data = to_json(person.document(dialect))

    def on_get(self, request: Request, response: Response) -> None:
        """Answer the people who have the query's term in a field, at most 50."""
        term = request.get_param(self._dialect.term)
        if not term:
            raise BadRequest(f"the query parameter {self._dialect.term} is missing or empty", self._dialect.term)
        # Falcon replaces bytes that are not UTF-8, and the replacement finds no person.
        # PERF: only a term with a replacement costs a second look at the query.
        if "\ufffd" in term and not _is_utf8(request.query_string):
            raise BadRequest(f"the query parameter {self._dialect.term} is not UTF-8", self._dialect.term)
        response.data = to_json([person.document(self._dialect) for person in self._store.search(term)])

    def on_get_person(self, request: Request, response: Response, identifier: str) -> None:
        """Answer the person with an id."""
        key = parse_id(identifier)
        person = key and self._store.get(key)
        if not person:
            raise NotFound("no person has this id")
        response.data = to_json(person.document(self._dialect))

    def on_get_count(self, request: Request, response: Response) -> None:
        """Answer the number of people as plain text."""
        response.content_type = falcon.MEDIA_TEXT
        response.text = str(self._store.count())

    on_head = on_get
    on_head_person = on_get_person
    on_head_count = on_get_count


class Health:
    """Probes for an orchestrator: is the process alive, and can it do its work."""

    def __init__(self, store: PeopleStore) -> None:
        self._store = store

    def on_get_live(self, request: Request, response: Response) -> None:
        """Answer 200 as long as the process serves."""
        response.media = {"status": "live"}

    def on_get_ready(self, request: Request, response: Response) -> None:
        """Answer 200 if MySQL answers and has all that the promises rest on, otherwise 503."""
        self._store.check()
        response.media = {"status": "ready"}

    on_head_live = on_get_live
    on_head_ready = on_get_ready


class OpenAPI:
    """The OpenAPI description of the service."""

    def __init__(self, description: bytes) -> None:
        self._description = description

    def on_get(self, request: Request, response: Response) -> None:
        """Answer openapi.yaml."""
        response.content_type = falcon.MEDIA_YAML
        response.data = self._description

    on_head = on_get


def _is_utf8(query: str) -> bool:
    """Return whether the percent-encoded bytes of a query are UTF-8."""
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        return False
    return True
