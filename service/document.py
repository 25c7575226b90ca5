"""Bytes of a request body to a JSON object, strictly by RFC 8259."""

import json
import re
from typing import Any, NoReturn

import ujson

from service.errors import Malformed

# ujson is lax about numbers (01, 1., NaN, Infinity) and raw control characters. A body without
# either holds only strings, arrays, objects and null, and those ujson reads by the book; any other
# body (no valid person needs one, unless it is pretty-printed) must please the strict reader of the
# standard library too. A "number" inside a string only costs the detour.
_NEEDS_STRICT_READER = re.compile(r'[\x00-\x1f]|[:\[,] *[^"\[\]{}n ]')


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`; raise Malformed for anything else.

    Malformed covers what is not UTF-8, not JSON, nested beyond reason, not an object at the top,
    or holds NaN, Infinity or a lone surrogate anywhere.
    """
    try:
        text = body.decode()
        document = ujson.loads(text)  # nested at most 1,024 deep, or it raises
        if _NEEDS_STRICT_READER.search(text):
            document = json.loads(text, parse_constant=_refuse_constant)
        if "\\u" in text:
            # An escape can name half of a surrogate pair, which is no character: UTF-8 refuses it.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Malformed("the body is not a JSON document in UTF-8") from None
    if type(document) is not dict:
        raise Malformed("the body is not a JSON object")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
