"""JSON: the strict parser of request bodies, by RFC 8259, and the serializer of answers."""

import json
import re
from typing import Any, NoReturn

import ujson

from service.errors import BadRequest

# ujson accepts invalid numbers (01, 1., NaN, Infinity) and raw control characters. A body with neither holds only
# strings, arrays, objects and null, which ujson parses correctly. Any other body must satisfy the strict parser of the
# standard library too. No valid person needs such a body, unless the body is pretty-printed.
_NEEDS_STRICT_PARSER = re.compile(r'[\x00-\x1f]|[:\[,] *[^"\[\]{}n ]')


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`.

    Raises BadRequest for anything else: bytes that are not UTF-8 or not JSON, deep nesting, another type than an object
    at the top level, and NaN, Infinity or a lone surrogate anywhere.
    """
    try:
        text = body.decode()
        document = ujson.loads(text)  # raises for more than 1,024 levels
        if _NEEDS_STRICT_PARSER.search(text):
            document = json.loads(text, parse_constant=_refuse_constant)
        if "\\u" in text:
            # An escape can be half of a surrogate pair, which UTF-8 cannot encode.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise BadRequest("the body is not a JSON document in UTF-8") from None
    if type(document) is not dict:
        raise BadRequest("the body is not a JSON object")
    return document


def to_json(document: object) -> bytes:
    """Return a document as JSON in UTF-8."""
    return ujson.dumps(document, ensure_ascii=False, escape_forward_slashes=False).encode()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
