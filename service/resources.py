"""What HTTP can ask of the people: one set of resources, in each dialect of the contract."""

import re

import ujson
from falcon import HTTP_201, MEDIA_TEXT, Request, Response

from service.document import read_object
from service.errors import Malformed, NicknameTaken, NotFound, NotJSON, TooLarge
from service.person import Dialect, id_text, parse_id, parse_person
from service.store import PeopleStore

BODY_LIMIT = 16384  # bytes, as client_max_body_size in lb/nginx.conf

_JSON = re.compile(r"\s*(application/json|[^;\s]+/[^;\s]+\+json|text/json|\*/\*)\s*(;.*)?", re.IGNORECASE)


def to_json(document: object) -> bytes:
    """Return `document` as JSON in UTF-8."""
    return ujson.dumps(document, ensure_ascii=False, escape_forward_slashes=False).encode()


class People:
    """The collection: create a person, search people."""

    def __init__(self, store: PeopleStore, dialect: Dialect) -> None:
        self._store = store
        self._dialect = dialect

    def on_post(self, request: Request, response: Response) -> None:
        """Store the person in the body: 201 with its Location once it is on disk."""
        dialect = self._dialect
        content_type = request.content_type
        if content_type and content_type != "application/json" and not _JSON.fullmatch(content_type):
            raise NotJSON("the Content-Type is not application/json")
        # Read straight from the server: Falcon's own stream is empty when there is no Content-Length.
        body = request.env["wsgi.input"].read(BODY_LIMIT + 1)
        if len(body) > BODY_LIMIT:
            raise TooLarge(f"the body is larger than {BODY_LIMIT} bytes")
        person = parse_person(read_object(body), dialect)
        try:
            self._store.add(person)
        except NicknameTaken:
            raise NicknameTaken(f"{dialect.nickname} is taken", dialect.nickname) from None
        response.status = HTTP_201
        response.set_header("Location", f"{dialect.people}/{id_text(person.id)}")
        response.data = to_json(person.document(dialect))

    def on_get(self, request: Request, response: Response) -> None:
        """Answer the people who have the term of the query in one of their fields."""
        term = request.get_param(self._dialect.term)
        if not term:
            raise Malformed(f"the query parameter {self._dialect.term} is missing or empty", self._dialect.term)
        people = self._store.search(term)
        response.data = to_json([person.document(self._dialect) for person in people])

    on_head = on_get


class OnePerson:
    """A person by id."""

    def __init__(self, store: PeopleStore, dialect: Dialect) -> None:
        self._store = store
        self._dialect = dialect

    def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Answer the person as it was sent, and its id."""
        key = parse_id(identifier)
        person = key and self._store.get(key)
        if not person:
            raise NotFound("nobody has this id")
        response.data = to_json(person.document(self._dialect))

    on_head = on_get


class Count:
    """How many people there are, counted at each request."""

    def __init__(self, store: PeopleStore) -> None:
        self._store = store

    def on_get(self, request: Request, response: Response) -> None:
        """Answer the number as plain text."""
        response.content_type = MEDIA_TEXT
        response.text = str(self._store.count())

    on_head = on_get


class Live:
    """The process answers; nothing else is asked."""

    def on_get(self, request: Request, response: Response) -> None:
        """Answer 200 for as long as the process serves."""
        response.data = b'{"status":"live"}'

    on_head = on_get


class Ready:
    """The process can do its work."""

    def __init__(self, store: PeopleStore) -> None:
        self._store = store

    def on_get(self, request: Request, response: Response) -> None:
        """Answer 200 if MySQL answers and has the expected schema, else 503."""
        self._store.check()
        response.data = b'{"status":"ready"}'

    on_head = on_get


class Description:
    """The OpenAPI description of all this."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def on_get(self, request: Request, response: Response) -> None:
        """Answer openapi.yaml."""
        response.content_type = "application/yaml"
        response.data = self._text

    on_head = on_get
