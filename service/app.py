"""The WSGI application: routes, resources, and the shape of errors."""

import logging
from pathlib import Path
from typing import NoReturn

import falcon
from falcon import Request, Response
from falcon.media import JSONHandler

from service.document import to_json
from service.errors import ServiceError, Unavailable
from service.logs import request_id
from service.person import ENGLISH, OFFICIAL
from service.resources import Health, OpenAPI, People
from service.store import PeopleStore

OPENAPI = Path(__file__).parent.parent / "openapi.yaml"
PROBLEM = "application/problem+json"  # RFC 9457

log = logging.getLogger(__name__)


def create_app(store: PeopleStore) -> falcon.App[Request, Response]:
    """Return the application over `store`, which serves both dialects."""
    app: falcon.App[Request, Response] = falcon.App(middleware=[RequestID()])
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(dumps=to_json)
    app.req_options.strip_url_path_trailing_slash = True
    app.resp_options.media_handlers[PROBLEM] = app.resp_options.media_handlers[falcon.MEDIA_JSON]
    app.set_error_serializer(_serialize_error)
    app.add_error_handler(ServiceError, _raise_http_error)
    app.add_error_handler(Exception, _raise_internal_server_error)
    for dialect in (OFFICIAL, ENGLISH):
        people = People(store, dialect)
        app.add_route(dialect.people, people)
        app.add_route(dialect.people + "/{identifier}", people, suffix="person")
        app.add_route(dialect.people_count, people, suffix="count")
    health = Health(store)
    app.add_route("/health/live", health, suffix="live")
    app.add_route("/health/ready", health, suffix="ready")
    app.add_route("/openapi.yaml", OpenAPI(OPENAPI.read_bytes()))
    return app


class RequestID:
    """Middleware that remembers the request's id, which the load balancer sends, for the log lines of the request."""

    def process_request(self, request: Request, response: Response) -> None:
        """Remember the value of X-Request-ID."""
        request_id.set(request.get_header("X-Request-ID") or "")


class Problem(falcon.HTTPError):
    """A ServiceError as an HTTP error, with the field at fault."""

    def __init__(self, error: ServiceError) -> None:
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Unavailable) else None
        super().__init__(error.status, title=error.title, description=error.detail, headers=headers)
        self.field = error.field


def _raise_http_error(request: Request, response: Response, error: ServiceError, params: object) -> NoReturn:
    raise Problem(error)


def _raise_internal_server_error(request: Request, response: Response, error: Exception, params: object) -> NoReturn:
    log.error("%s %r failed", request.method, request.path, exc_info=error)
    raise Problem(ServiceError("a defect of the service; it has been logged"))


def _serialize_error(request: Request, response: Response, error: falcon.HTTPError) -> None:
    """Write any error as RFC 9457 describes, Falcon's own errors (unknown path, wrong method) included."""
    problem = {
        "type": "about:blank",
        "title": error.title.removeprefix(f"{error.status_code} "),
        "status": error.status_code,
        "detail": error.description,
        "field": getattr(error, "field", None),
    }
    response.content_type = PROBLEM
    response.media = {name: value for name, value in problem.items() if value}
