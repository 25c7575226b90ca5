"""The errors that a request can end with, named as HTTP names them."""


class ServiceError(Exception):
    """A request that the service cannot fulfil.

    `status` is the HTTP status and `title` its reason phrase. `detail` is a sentence for people. `field` is the JSON
    field or the query parameter at fault, or None.
    """

    status = 500
    title = "Internal Server Error"

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class BadRequest(ServiceError):
    """The request breaks the syntax of the contract: it is not JSON, or a value has the wrong type."""

    status = 400
    title = "Bad Request"


class NotFound(ServiceError):
    """No person has this id."""

    status = 404
    title = "Not Found"


class ContentTooLarge(ServiceError):
    """The body is larger than any valid person."""

    status = 413
    title = "Content Too Large"


class UnsupportedMediaType(ServiceError):
    """The Content-Type is not JSON."""

    status = 415
    title = "Unsupported Media Type"


class UnprocessableContent(ServiceError):
    """The types are right and a rule is broken: a field is missing or too long, or a date does not exist."""

    status = 422
    title = "Unprocessable Content"


class NicknameTaken(UnprocessableContent):
    """Another person has this nickname."""


class Unavailable(ServiceError):
    """MySQL did not answer in time; the same request may succeed after `retry_after` seconds."""

    status = 503
    title = "Service Unavailable"
    retry_after = 1


class SearchTimeout(Unavailable):
    """A search has reached its time limit."""

    def __init__(self, detail: str = "the search took too long and was stopped") -> None:
        super().__init__(detail)
