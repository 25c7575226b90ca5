"""Any body, term and id gets a status of the contract, and an accepted person is stored as sent.

hypothesis generates other examples in each run. A failure is printed with the code that repeats it.
"""

import json
import math
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.person import ENGLISH, OFFICIAL, Dialect
from service.resources import BODY_LIMIT
from tests.support.client import Answer, Client
from tests.support.contract import check_problem, nfc
from tests.support.people import new_nickname

# The client has no state, so many examples may share it.
FUZZED = settings(deadline=None, derandomize=False, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
DIALECT = st.sampled_from([OFFICIAL, ENGLISH])

# Texts that often cause defects; any character, single surrogates and control characters too; lengths on both sides of
# the limits.
SPICES = [
    "\ud800", "\udfff",
    "\ud83d\ude00", "😀", "e\u0301", "é", "\u1112\u1161\u11ab", "\u0958", "\U0001d160", "\x00", "\n",
    "\x1b", "\x1f", "\x7f", "\x85", "\x9f", "\xa0", "\u200d", "\u2028", "\ufeff", "\uffff", "\U0010ffff", '"', "\\",
    "/", "\\u0000", "'", "%", " ", "a", "ß", "İ", "null",
]  # fmt: skip
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
SPICY = st.lists(st.sampled_from(SPICES), min_size=1, max_size=4).map("".join)
NEAR_LIMIT = st.builds(
    lambda letters, length: (letters * 101)[:length],
    SPICY | st.text(min_size=1, max_size=3),
    st.sampled_from([31, 32, 33, 99, 100, 101]),
)
TEXT = st.one_of(SPICY, ANY_TEXT, NEAR_LIMIT, st.just(""))
DATE = st.one_of(st.dates().map(str), st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True), TEXT)
NUMBER = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -(2**63), 1e308, -0.0, math.nan, math.inf]))
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=8,
)
STACK = st.one_of(st.none(), st.lists(TEXT, max_size=5), st.lists(st.one_of(TEXT, ANYTHING), max_size=3), ANYTHING)


@st.composite
def documents(draw: st.DrawFn, dialect: Dialect) -> dict[str, Any]:
    """Draw a person with at most two odd fields, so that one error hides no other."""
    document: dict[str, Any] = {
        dialect.nickname: new_nickname(), dialect.name: "Ana", dialect.birth_date: "2000-01-01", dialect.skills: None
    }  # fmt: skip
    odd = {
        dialect.nickname: st.one_of(TEXT.map(lambda text: new_nickname()[:9] + text), TEXT, ANYTHING),
        dialect.name: st.one_of(TEXT, TEXT, ANYTHING),
        dialect.birth_date: st.one_of(DATE, DATE, ANYTHING),
        dialect.skills: STACK,
        "ignored": ANYTHING,
        draw(TEXT): ANYTHING,
    }
    for field in draw(st.lists(st.sampled_from(sorted(odd)), max_size=2)):
        document[field] = draw(odd[field])
    if draw(st.integers(0, 9)) == 0:
        del document[draw(st.sampled_from(sorted(document)))]
    return document


@st.composite
def bodies(draw: st.DrawFn, dialect: Dialect) -> bytes:
    """Draw bytes: valid JSON, changed JSON, or anything."""
    body = json.dumps(draw(documents(dialect)), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:  # so that keys may be repeated
        body = body[:-1] + b"," + json.dumps(draw(documents(dialect))).encode()[1:]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(start + 5, len(body))))
        body = body[:start] + draw(st.one_of(st.binary(max_size=4), st.sampled_from(FRAGMENTS))) + body[end:]
    result: bytes = draw(
        st.one_of(st.just(body), st.just(body), st.just(body), st.just(body), st.binary(max_size=200), deep())
    )
    return result


FRAGMENTS = [
    b'"', b"\\", b"\\u0000", b"\\ud83d", b"{", b"]", b",", b":", b"\n", b"\0", b"01", b"1e999", b"-", b"NaN",
    b"7" * 5000,
]  # fmt: skip


def deep() -> st.SearchStrategy[bytes]:
    """Return a strategy of deeply nested JSON."""
    pairs = st.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b"[1,", b"]"), (b'{"apelido":', b"}")])
    return st.builds(
        lambda pair, depth, closed: pair[0] * depth + b"0" + pair[1] * depth * closed,
        pairs,
        st.integers(1, 1600),
        st.booleans(),
    )


def check_creation(client: Client, dialect: Dialect, body: bytes) -> Answer:
    """Check the answer to a creation, and that a created person is stored once, as sent."""
    answer = client.request("POST", dialect.people, body, {"Content-Type": "application/json"})
    if answer.status != 201:
        assert answer.status in ((400, 422) if len(body) <= BODY_LIMIT else (400, 413, 422))
        check_problem(answer, answer.status, answer.json().get("field"))
        assert answer.json().get("field") in {None, *dialect[3:]}
        return answer
    sent = json.loads(body)
    person = client.request("GET", answer.headers["location"])
    assert person.status == 200
    assert person.json() == answer.json()
    assert person.json() == {
        "id": answer.headers["location"].rpartition("/")[2],
        **{field: nfc(sent.get(field)) for field in dialect[3:]},
    }
    again = client.request("POST", dialect.people, body, {"Content-Type": "application/json"})
    check_problem(again, 422, dialect.nickname)
    return answer


@settings(FUZZED, max_examples=250)
@given(data=st.data(), dialect=DIALECT)
def test_any_body_is_refused_or_stored_as_sent(client: Client, data: st.DataObject, dialect: Dialect) -> None:
    check_creation(client, dialect, data.draw(bodies(dialect)))


CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"])


@settings(FUZZED, max_examples=100)
@given(
    dialect=DIALECT,
    name=st.text(CHARACTERS, min_size=1, max_size=33),  # NFC makes three of some
    skills=st.none() | st.lists(st.text(CHARACTERS, min_size=1, max_size=10), max_size=9),
    date=st.dates().map(str),
    ascii_only=st.booleans(),
)
def test_every_character_but_control_characters_is_accepted(  # noqa: PLR0917
    client: Client, dialect: Dialect, name: str, skills: list[str] | None, date: str, ascii_only: bool
) -> None:
    nick = new_nickname()
    fields = (nick + name[0], name, date, skills)
    body = json.dumps(dict(zip(dialect[3:], fields, strict=True)), ensure_ascii=ascii_only).encode()

    answer = check_creation(client, dialect, body)

    assert answer.status == 201
    assert client.request("GET", f"{dialect.people}?{dialect.term}={nick}").json() == [answer.json()]


@settings(FUZZED, max_examples=150)
@given(
    dialect=DIALECT,
    term=st.one_of(ANY_TEXT, NEAR_LIMIT, st.sampled_from(['+"a', "@1", "(", "~*", "abc* -def", ")) OR 1=1 -- "])),
)
@example(dialect=OFFICIAL, term='" IN NATURAL LANGUAGE MODE) OR 1=1 -- ')
def test_any_term_is_answered_with_at_most_fifty_people(client: Client, dialect: Dialect, term: str) -> None:
    answer = client.request(
        "GET", f"{dialect.people}?{dialect.term}={quote(term.encode('utf-8', 'surrogatepass'), safe='')}"
    )

    is_utf8 = not any("\ud800" <= character <= "\udfff" for character in term)
    if not term or not is_utf8:
        check_problem(answer, 400, dialect.term)
        return
    assert answer.status == 200
    assert len(answer.json()) <= 50


@settings(FUZZED, max_examples=150)
@given(
    dialect=DIALECT,
    identifier=st.one_of(ANY_TEXT, st.uuids().map(str), st.from_regex(r"[0-9a-fA-F-]{36}", fullmatch=True)),
)
def test_any_unknown_id_is_404(client: Client, dialect: Dialect, identifier: str) -> None:
    path = quote(identifier.encode("utf-8", "surrogatepass"), safe="")

    answer = client.request("GET", f"{dialect.people}/{path}")

    assert answer.status in (404, 400)
    check_problem(answer, answer.status, None if path else dialect.term)  # without an id, it is a search without a term
