"""The WSGI application: the one place where routes, resources and errors are put together."""

import logging
from pathlib import Path

import falcon
from falcon import Request, Response

from service.errors import ServiceError, Unavailable
from service.person import ENGLISH, OFFICIAL
from service.resources import Count, Description, Live, OnePerson, People, Ready, to_json
from service.store import PeopleStore

OPENAPI = Path(__file__).parent.parent / "openapi.yaml"
PROBLEM = "application/problem+json"

log = logging.getLogger(__name__)


def create_app(store: PeopleStore) -> falcon.App:  # type: ignore[type-arg]
    """Return the application over `store`, both dialects on."""
    app = falcon.App()
    app.add_error_handler(ServiceError, _answer_service_error)
    app.add_error_handler(Exception, _answer_defect)
    app.add_error_handler(falcon.HTTPError, _answer_http_error)
    for dialect in (OFFICIAL, ENGLISH):
        app.add_route(dialect.people, People(store, dialect))
        app.add_route(dialect.people + "/{identifier}", OnePerson(store, dialect))
        app.add_route(dialect.total, Count(store))
    app.add_route("/health/live", Live())
    app.add_route("/health/ready", Ready(store))
    app.add_route("/openapi.yaml", Description(OPENAPI.read_bytes()))
    return app


def _answer_service_error(request: Request, response: Response, error: ServiceError, params: object) -> None:
    if isinstance(error, Unavailable):
        response.set_header("Retry-After", str(error.retry_after))
    _problem(response, error.status, error.title, error.detail, error.field)


def _answer_http_error(request: Request, response: Response, error: falcon.HTTPError, params: object) -> None:
    """Give Falcon's own errors (unknown path, wrong method) the shape of ours."""
    for name, value in dict(error.headers or {}).items():
        response.set_header(name, value)
    _problem(response, error.status_code, falcon.code_to_http_status(error.status_code)[4:], error.description)


def _answer_defect(request: Request, response: Response, error: Exception, params: object) -> None:
    log.error("%s %r failed", request.method, request.path, exc_info=error)
    _problem(response, ServiceError.status, ServiceError.title, "a defect of the service; it has been logged")


def _problem(response: Response, status: int, title: str, detail: str | None, field: str | None = None) -> None:
    """Answer with an error as RFC 9457 describes it."""
    document: dict[str, object] = {"type": "about:blank", "title": title, "status": status}
    if detail:
        document["detail"] = detail
    if field:
        document["field"] = field
    response.status = status
    response.content_type = PROBLEM
    response.data = to_json(document)
