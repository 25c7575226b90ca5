"""Every way a request can end other than well, as one tree of exceptions."""


class ServiceError(Exception):
    """A request that cannot be answered as asked.

    `status` is the HTTP status, `title` its reason phrase, `detail` a sentence for people and
    `field` the JSON field or query parameter at fault, where there is one.
    """

    status = 500
    title = "Internal Server Error"

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class Malformed(ServiceError):
    """The request breaks the syntax of the contract: not JSON, or a value of the wrong type."""

    status = 400
    title = "Bad Request"


class NotFound(ServiceError):
    """There is no such person."""

    status = 404
    title = "Not Found"


class TooLarge(ServiceError):
    """The body is larger than any person needs."""

    status = 413
    title = "Content Too Large"


class NotJSON(ServiceError):
    """The body is declared to be something other than JSON."""

    status = 415
    title = "Unsupported Media Type"


class Invalid(ServiceError):
    """The types are right and a rule is broken: missing, too long, no such date."""

    status = 422
    title = "Unprocessable Content"


class NicknameTaken(Invalid):
    """Somebody else has this nickname."""


class Unavailable(ServiceError):
    """MySQL did not answer, or not in time; the same request may succeed after `retry_after` seconds."""

    status = 503
    title = "Service Unavailable"
    retry_after = 1


class TookTooLong(Unavailable):
    """A search has reached its time bound, and MySQL has stopped it or is not asked again."""

    def __init__(self, detail: str = "the search took too long and was stopped") -> None:
        super().__init__(detail)
