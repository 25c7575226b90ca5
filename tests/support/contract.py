"""The contract of POST as data: each row has a body and the answer that it must get.

Rows are in the official dialect; tests translate the keys for the English one. NICK stands for a new nickname. The
order is that of the rules: the first rule that applies decides.
"""

import unicodedata
from typing import Any, NamedTuple

from service.person import ENGLISH, OFFICIAL, Dialect
from tests.support.client import Answer

NICK = "<nick>"
PERSON: dict[str, Any] = {"apelido": NICK, "nome": "José Roberto", "nascimento": "2000-10-01", "stack": ["C#", "Node"]}


class Row(NamedTuple):
    """A body (a document, or raw bytes), the status that it must get, and the field that an error must name."""

    name: str
    body: dict[str, Any] | bytes
    status: int
    field: str | None = None
    headers: dict[str, str] = {"Content-Type": "application/json"}  # noqa: RUF012 - it is never changed


def person(**fields: Any) -> dict[str, Any]:
    """Return a valid document with some fields replaced."""
    return {**PERSON, **fields}


def without(field: str) -> dict[str, Any]:
    """Return a valid document without a field."""
    return {key: value for key, value in PERSON.items() if key != field}


def raw(**replaced: bytes) -> bytes:
    """Return the JSON of a valid person with the JSON text of some fields replaced, byte for byte."""
    fields = {
        "apelido": b'"<nick>"', "nome": b'"Ana"', "nascimento": b'"2000-10-01"', "stack": b"null", **replaced
    }  # fmt: skip
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in fields.items()) + b"}"


NOT_JSON = [
    Row("empty body", b"", 400),
    Row("not JSON", b"apelido=ana", 400),
    Row("cut short", b'{"apelido":"<nick>"', 400),
    Row("something after the object", raw() + b"x", 400),
    Row("not UTF-8", raw(nome=b'"Jos\xe9"'), 400),
    Row("UTF-16", raw().decode().encode("utf-16"), 400),
    Row("byte order mark", b"\xef\xbb\xbf" + raw(), 400),
    Row("surrogate in UTF-8", raw(nome=b'"\xed\xa0\x80"'), 400),
    Row("lone surrogate", raw(nome=b'"a\\ud800"'), 400),
    Row("lone surrogate in an ignored key", raw(outro=b'"\\udfff"'), 400),
    Row("lone surrogate as a key", raw()[:-1] + b',"\\ud800":1}', 400),
    Row("NaN", raw(nome=b"NaN"), 400),
    Row("NaN in an ignored key", raw(outro=b"[NaN]"), 400),
    Row("Infinity in an ignored key", raw(outro=b"Infinity"), 400),
    Row("-Infinity in an ignored key", raw(outro=b"-Infinity"), 400),
    Row("number with a leading zero", raw(outro=b"01"), 400),
    Row("number without a fraction", raw(outro=b"1."), 400),
    Row("raw newline in a string", raw(nome=b'"a\nb"'), 400),
    Row("raw tab in an ignored key", raw(outro=b'"a\tb"'), 400),
    Row("raw NUL", raw(nome=b'"a\x00b"'), 400),
    Row("single quotes", b"{'apelido':'x'}", 400),
    Row("trailing comma", raw()[:-1] + b",}", 400),
    Row("a comment", raw() + b"/* ok */", 400),
    Row("nested too deeply", b"[" * 15000, 400),
    Row("nested too deeply, with numbers", b"[1," * 4000, 400),
    Row("nested too deeply in an ignored key", raw(outro=b'{"a":' * 2500 + b"1" + b"}" * 2500), 400),
    Row("an array", b'["apelido"]', 400),
    Row("a string", b'"apelido"', 400),
    Row("null", b"null", 400),
    Row("a number", b"7", 400),
]

WRONG_TYPE = [
    *(
        Row(f"{field} {kind}", person(**{field: value}), 400, field)
        for field in ("apelido", "nome", "nascimento")
        for kind, value in (("number", 1), ("boolean", True), ("array", ["a"]), ("object", {}), ("fraction", 0.5))
    ),
    Row("stack a string", person(stack="Node"), 400, "stack"),
    Row("stack a number", person(stack=1), 400, "stack"),
    Row("stack false", person(stack=False), 400, "stack"),
    Row("stack an object", person(stack={}), 400, "stack"),
    Row("number in stack", person(stack=[1, "PHP"]), 400, "stack"),
    Row("null in stack", person(stack=["PHP", None]), 400, "stack"),
    Row("array in stack", person(stack=[["PHP"]]), 400, "stack"),
    Row("wrong type before a missing field", person(apelido=None, nome=1), 400, "nome"),
    Row("wrong type before one too long", person(apelido="a" * 33, stack=[1]), 400, "stack"),
]

WRONG_DATES = (
    "", "2000-1-1", "01-10-2000", "20001001", "2000-W01-1", "2000/10/01", "2000-10-01T00:00", " 2000-10-01",
    "2000-10-01\n", "２０００-１０-０１", "02000-10-01", "hoje", "2000-10-0a", "-200-10-01",
)  # fmt: skip
WRONG_DATE_FORM = [Row(f"date {date!r}", person(nascimento=date), 400, "nascimento") for date in WRONG_DATES]

MISSING = [
    *(Row(f"{field} missing", without(field), 422, field) for field in ("apelido", "nome", "nascimento")),
    *(Row(f"{field} null", person(**{field: None}), 422, field) for field in ("apelido", "nome", "nascimento")),
    Row("apelido empty", person(apelido=""), 422, "apelido"),
    Row("nome empty", person(nome=""), 422, "nome"),
    Row("an empty object", {}, 422, "apelido"),
    Row("wrong form of date before a missing field", person(apelido=None, nascimento="x"), 400, "nascimento"),
]

BROKEN_RULE = [
    Row("apelido of 33", person(apelido="a" * 33), 422, "apelido"),
    Row("apelido of 33 two-byte letters", person(apelido="é" * 33), 422, "apelido"),
    Row("nome of 101", person(nome="a" * 101), 422, "nome"),
    Row("nome of 101 emoji", person(nome="😀" * 101), 422, "nome"),
    Row("stack element of 33", person(stack=["ok", "a" * 33]), 422, "stack"),
    Row("stack element empty", person(stack=[""]), 422, "stack"),
    Row("newline in apelido", person(apelido="a\nb"), 422, "apelido"),
    Row("NUL in nome", person(nome="a\0b"), 422, "nome"),
    Row("escape character in nome", person(nome="\x1b[31m"), 422, "nome"),
    Row("C1 control in nome", person(nome="a\x85b"), 422, "nome"),
    Row("delete in a stack element", person(stack=["a\x7f"]), 422, "stack"),
    *(
        Row(f"no such date {date}", person(nascimento=date), 422, "nascimento")
        for date in ("2000-13-01", "2001-02-29", "2000-00-10", "2000-10-00", "2000-04-31", "0000-01-01", "1900-02-29")
    ),
]

VALID = [
    Row("the example", PERSON, 201),
    Row("stack null", person(stack=None), 201),
    Row("stack empty", person(stack=[]), 201),
    Row("stack absent", without("stack"), 201),
    Row("repeated skills", person(stack=["Node", "Node", "C"]), 201),
    Row("skills of one letter and signs", person(stack=["R", "C++", "C#", ".NET", "%", "_", "\\", '"', "'"]), 201),
    Row("nome of spaces", person(nome="   "), 201),
    Row("spaces at the ends", person(nome=" Ana  "), 201),
    Row("lengths at their limits", person(nome="é" * 100, stack=["ü" * 32]), 201),
    Row("emoji at the limit", person(nome="😀" * 100), 201),
    Row("100 letters after normalisation", person(nome="e\u0301" * 100), 201),
    Row("markup", person(nome='<b>O\'Neil & "Filhos"; DROP TABLE pessoas;--</b>'), 201),
    Row("first day", person(nascimento="0001-01-01"), 201),
    Row("last day", person(nascimento="9999-12-31"), 201),
    Row("leap day", person(nascimento="2000-02-29"), 201),
    Row("unknown keys", person(outro={"a": [1, 2.5e3, True, None]}), 201),
    Row("an id is ignored", person(id="01890000-0000-7000-8000-000000000000"), 201),
    Row("escapes", raw(nome=b'"\\u004aos\\u00e9 \\ud83d\\ude00 \\/ \\""'), 201),
    Row("duplicate keys, the last counts", raw()[:-1] + b',"nome":"Bia"}', 201),
    Row("pretty-printed", b"{\n\t" + raw()[1:-1] + b"\r\n}", 201),
    Row("NaN as text", person(nome="NaN, Infinity: -1, 01"), 201),
    Row("many skills", person(stack=["JavaScript"] * 1000), 201),
]

CONTENT_TYPE = [
    Row("no Content-Type", PERSON, 201, headers={}),
    *(
        Row(f"Content-Type {kind}", PERSON, 201, headers={"Content-Type": kind})
        for kind in (
            "application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json", "text/json", "*/*",
        )
    ),
    *(
        Row(f"Content-Type {kind}", PERSON, 415, headers={"Content-Type": kind})
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", "?")
    ),
    Row("larger than the limit", raw(outro=b'"' + b"a" * 17000 + b'"'), 413),
]  # fmt: skip


class Query(NamedTuple):
    """The query of a search, in which {t} stands for the parameter's name, and the status that it must get."""

    query: str
    status: int


QUERIES = [
    *(Query(query, 400) for query in ("", "?{t}=", "?{t}", "?{other}=ana", "?x=1&{t}=")),
    # Not UTF-8: Latin-1 (JavaScript's escape, old forms), cut short, overlong, surrogates, beyond U+10FFFF.
    *(
        Query("?{t}=" + term, 400)
        for term in ("Jos%E9", "%E9", "%e9", "jos%C3", "%C3+a", "%C3%28", "%A9", "%C0%AF", "%E0%80%AF", "%ED%A0%80",
                     "%ED%A0%BD%ED%B8%80", "%F4%90%80%80", "%F8%88%80%80%80", "%FF", "%FE%FF%00J", "%EF%BF%BD%E9")
    ),
    Query("?x=1&{t}=%E9", 400),
    Query("?{t}=ana&{t}=%E9", 400),
    Query("?{t}=%E9&x=ana", 400),
    # The last value counts, and other parameters are ignored.
    Query("?{t}=%E9&{t}=ana", 200),
    Query("?{t}=ana&x=%E9", 200),
    # U+FFFD itself is a character, as is all that UTF-8 can encode; a percent sign that encodes no byte is itself.
    *(
        Query("?{t}=" + term, 200)
        for term in ("%EF%BF%BD", "Jos%C3%A9", "jose%CC%81", "%F0%9F%98%80", "%F4%8F%BF%BF", "%EF%BF%BF", "%00", "%0A",
                     "a%0Ab", "%", "%zz", "%u00e9", "%25E9", "a" * 3000)
    ),
]  # fmt: skip

TABLE = [*NOT_JSON, *WRONG_TYPE, *WRONG_DATE_FORM, *MISSING, *BROKEN_RULE, *VALID, *CONTENT_TYPE]


ENGLISH_FIELDS = dict(zip(OFFICIAL[3:], ENGLISH[3:], strict=True))


def translate(document: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Return a document of the official dialect in `dialect`."""
    return {ENGLISH_FIELDS[key]: value for key, value in document.items()} if dialect is ENGLISH else document


def translate_body(body: bytes, dialect: Dialect) -> bytes:
    """Return a body of the official dialect in `dialect`, byte for byte the same otherwise."""
    if dialect is ENGLISH:
        for official, english in ENGLISH_FIELDS.items():
            body = body.replace(f'"{official}":'.encode(), f'"{english}":'.encode())
    return body


def check_problem(answer: Answer, status: int, field: str | None = None) -> dict[str, Any]:
    """Check that an error has the form of all errors; return its document."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status == answer.status
    assert problem["title"]
    assert problem.get("field") == field
    return problem


def check_unavailable(answer: Answer) -> str:
    """Check that an answer asks the client to repeat the request later; return its detail."""
    problem = check_problem(answer, 503)
    assert problem["title"] == "Service Unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    return str(problem["detail"])


def nfc(value: Any) -> Any:
    """Return a value of a field as the service stores it: text in Unicode normal form C."""
    if isinstance(value, list):
        return [nfc(element) for element in value]
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value
