"""A person, and the rules by which a JSON object becomes one."""

import re
import time
from datetime import date
from os import urandom
from typing import Any, NamedTuple
from unicodedata import normalize

from service.errors import BadRequest, UnprocessableContent

NICKNAME_LENGTH = 32  # code points, as all lengths here
NAME_LENGTH = 100
SKILL_LENGTH = 32

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DATE_FORM = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


class Dialect(NamedTuple):
    """The contract in one language: the paths of people and their count, the query parameter, the JSON fields."""

    people: str
    people_count: str
    term: str
    nickname: str
    name: str
    birth_date: str
    skills: str


OFFICIAL = Dialect("/pessoas", "/contagem-pessoas", "t", "apelido", "nome", "nascimento", "stack")
ENGLISH = Dialect("/users", "/users-count", "q", "nickname", "fullname", "dob", "stack")


class Person(NamedTuple):
    """A person; `birth_date` is YYYY-MM-DD, and `skills` is None or a list."""

    id: bytes
    nickname: str
    name: str
    birth_date: str
    skills: list[str] | None

    def document(self, dialect: Dialect) -> dict[str, Any]:
        """Return the person as a JSON object in `dialect`."""
        return {
            "id": format_id(self.id),
            dialect.nickname: self.nickname,
            dialect.name: self.name,
            dialect.birth_date: self.birth_date,
            dialect.skills: self.skills,
        }


def parse_person(document: dict[str, Any], dialect: Dialect) -> Person:
    """Return the person in `document`, with a new id and all text in Unicode normal form C.

    Raises BadRequest for a value of the wrong type or a date of the wrong form, in any field; otherwise
    UnprocessableContent for a broken rule.
    """
    nickname = _string(document, dialect.nickname)
    name = _string(document, dialect.name)
    birth_date = _string(document, dialect.birth_date)
    skills = _strings(document, dialect.skills)
    if birth_date is not None and not _DATE_FORM.fullmatch(birth_date):
        raise BadRequest(f"{dialect.birth_date} is not of the form YYYY-MM-DD", dialect.birth_date)
    return Person(
        new_id(),
        _text(nickname, dialect.nickname, NICKNAME_LENGTH),
        _text(name, dialect.name, NAME_LENGTH),
        _existing_date(birth_date, dialect.birth_date),
        skills and [_text(skill, dialect.skills, SKILL_LENGTH) for skill in skills],
    )


def new_id() -> bytes:
    """Return a UUID version 7 (RFC 9562 §5.7). It begins with the time, so new rows are neighbours in the table."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(urandom(10)) & ~(0xF << 76) & ~(0x3 << 62)
    return (milliseconds << 80 | 0x7 << 76 | random | 0x2 << 62).to_bytes(16)


def format_id(identifier: bytes) -> str:
    """Return the canonical text of a UUID."""
    digits = identifier.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse_id(text: str) -> bytes | None:
    """Return the bytes of a UUID in canonical form, in upper or lower case; None for any other text."""
    return bytes.fromhex(text.replace("-", "")) if _ID_FORM.fullmatch(text) else None


def has_control_character(text: str) -> bool:
    """Return whether `text` has a character of Unicode category Cc. No field of a person has one."""
    return not text.isprintable() and _CONTROL.search(text) is not None


def _string(document: dict[str, Any], field: str) -> str | None:
    value = document.get(field)
    if value is None or type(value) is str:
        return value
    raise BadRequest(f"{field} is not a string", field)


def _strings(document: dict[str, Any], field: str) -> list[str] | None:
    value = document.get(field)
    if value is None:
        return None
    if type(value) is not list:
        raise BadRequest(f"{field} is not an array", field)
    for element in value:
        if type(element) is not str:
            raise BadRequest(f"{field} has an element that is not a string", field)
    return value


def _text(value: str | None, field: str, max_length: int) -> str:
    if value is None:
        raise UnprocessableContent(f"{field} is missing", field)
    if not value.isascii():
        value = normalize("NFC", value)
    if not value:
        raise UnprocessableContent(f"{field} is empty", field)
    if len(value) > max_length:
        raise UnprocessableContent(f"{field} is longer than {max_length} characters", field)
    if has_control_character(value):
        raise UnprocessableContent(f"{field} has a control character", field)
    return value


def _existing_date(value: str | None, field: str) -> str:
    if value is None:
        raise UnprocessableContent(f"{field} is missing", field)
    try:
        date.fromisoformat(value)
    except ValueError:
        raise UnprocessableContent(f"{field} is not a date that exists", field) from None
    return value
