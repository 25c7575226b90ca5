"""Makes the contest's people and search terms from a seed, each person with the status that a creation must get.

The distributions are those of the contest's data: approximately 88 % of the people are valid. The other people have
defects. One person in 13 has a date with month 13, and a few have 29 February of a common year. One person in 99 each
has a date of another form, a nickname that is too long, a name that is too long, or a bad stack.

The status follows from the defects that a person was given, not from a validator.
"""

import argparse
import json
import string
from calendar import isleap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from service.person import ENGLISH, OFFICIAL, Dialect

CREATED, MALFORMED, INVALID = 201, 400, 422
DIALECTS = {"official": OFFICIAL, "english": ENGLISH}
LETTERS = string.ascii_letters
# 25 entries, 24 names: the contest's list has "C#" twice, so it is twice as frequent.
STACKS = (
    "C", "C#", "C#", "C++", "CSS", "Clojure", "Go", "HTML", "Java", "Javascript", "Kotlin", "Matlab", "MySQL",
    "NoSQL", "PHP", "Perl", "Postgres", "Python", "R", "Ruby", "Rust", "SQL", "Scala", "Swift", "TypeScript",
)  # fmt: skip
GARBAGE_DATES = ('"12-12-2000"', "null", "10", '"?!?!?"')  # all are strings: the contest encodes them twice
BAD_STACKS = ((["1" * 40], INVALID), ("string", MALFORMED), (1, MALFORMED))


@dataclass(frozen=True, slots=True)
class Payload:
    """The body of a creation, the same as a document, and the status of its answer if the nickname is not taken."""

    body: str
    document: dict[str, Any]
    status: int


def payloads(seed: int, count: int) -> Iterator[Payload]:
    """Yield `count` people in the official dialect. A seed yields the same people first, whatever the count."""
    rng = Random(f"people {seed}")
    for _ in range(count):
        values, statuses = zip(_nickname(rng), _name(rng), _birth_date(rng), _stack(rng), strict=True)
        document = dict(zip(_fields(OFFICIAL), values, strict=True))
        # The contract checks types and forms first: 400 wins if a body has both kinds of defect.
        status = next(status for status in (MALFORMED, INVALID, CREATED) if status in statuses)
        yield Payload(json.dumps(document), document, status)


def english(document: dict[str, Any]) -> dict[str, Any]:
    """Return a person of the official dialect with the field names of the English dialect."""
    return dict(zip(_fields(ENGLISH), (document[field] for field in _fields(OFFICIAL)), strict=True))


def maximum(payloads: Iterable[Payload]) -> int:
    """Return how many rows a correct service stores for these creations, in whatever order they arrive."""
    return len({payload.document[OFFICIAL.nickname] for payload in payloads if payload.status == CREATED})


def terms(seed: int, count: int) -> Iterator[str]:
    """Yield `count` search terms of letters and spaces, 1 to 50 characters long, without a space at either end."""
    rng = Random(f"terms {seed}")
    for _ in range(count):
        yield _text(rng, LETTERS + " ", rng.randint(1, 50)).strip() or "x"


def _fields(dialect: Dialect) -> tuple[str, str, str, str]:
    return dialect.nickname, dialect.name, dialect.birth_date, dialect.skills


def _text(rng: Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))


def _is_defective(rng: Random) -> bool:
    return rng.randrange(99) == 0


def _nickname(rng: Random) -> tuple[str, int]:
    if _is_defective(rng):
        return _text(rng, LETTERS, 35), INVALID
    return _text(rng, LETTERS, rng.randint(1, 32)), CREATED


def _name(rng: Random) -> tuple[str, int]:
    if _is_defective(rng):
        return _text(rng, LETTERS + " ", 120), INVALID
    return _text(rng, LETTERS + " ", rng.randint(1, 100)), CREATED


def _birth_date(rng: Random) -> tuple[str, int]:
    if _is_defective(rng):
        return rng.choice(GARBAGE_DATES), MALFORMED
    year, month, day = rng.randint(1940, 2020), rng.randint(1, 13), rng.randint(1, 29)
    is_impossible = month == 13 or (month == 2 and day == 29 and not isleap(year))
    return f"{year}-{month:02}-{day:02}", INVALID if is_impossible else CREATED


def _stack(rng: Random) -> tuple[Any, int]:
    if _is_defective(rng):
        return rng.choice(BAD_STACKS)
    if rng.randrange(14) == 0:
        return None, CREATED
    return rng.choices(STACKS, k=rng.randint(1, 26)), CREATED


def write(directory: Path, seed: int, people: int, terms_count: int, dialect: str) -> None:
    """Write people.tsv and terms.tsv for Gatling's feeders: a header, then one person or term a line."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "people.tsv").open("w", encoding="ascii") as file:
        file.write("payload\n")
        for payload in payloads(seed, people):
            body = payload.body if dialect == "official" else json.dumps(english(payload.document))
            file.write(body + "\n")
    with (directory / "terms.tsv").open("w", encoding="ascii") as file:
        file.write("t\n")
        file.writelines(f"{term}\n" for term in terms(seed, terms_count))


def main() -> None:
    """Write the files with people and terms for one load."""
    parser = argparse.ArgumentParser(allow_abbrev=False, prog="python -m bench.people", description=main.__doc__)
    add = parser.add_argument
    add("--seed", type=int, default=1, metavar="N", help="the seed of people and terms (default: %(default)s)")
    add("--people", type=int, default=100_000, metavar="N", help="the number of people (default: %(default)s)")
    add("--terms", type=int, default=5_000, metavar="N", help="the number of terms (default: %(default)s)")
    add("--dialect", choices=DIALECTS, default="official", help="the field names (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="DIR", help="the directory for people.tsv and terms.tsv")
    arguments = parser.parse_args()
    write(arguments.out, arguments.seed, arguments.people, arguments.terms, arguments.dialect)


if __name__ == "__main__":
    main()
