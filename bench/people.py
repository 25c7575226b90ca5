"""Makes the contest's people and search terms from a seed, and knows what each of them deserves.

The distributions are those of the contest's own data: about 88 % of the people are valid. The others have an
impossible date (month 13 in 1 of 13, a 29 February in a wrong year), a garbage date, an over-long nickname or
name, or a stack of a wrong type or length (1 in 99 each). A status follows from the defects that were put in,
never from a validator.
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

CREATED, MALFORMED, INVALID = 201, 400, 422
LETTERS = string.ascii_letters
# 25 entries, 24 names: the contest's list says "C#" twice, so it is twice as likely.
STACKS = (
    "C", "C#", "C#", "C++", "CSS", "Clojure", "Go", "HTML", "Java", "Javascript", "Kotlin", "Matlab", "MySQL",
    "NoSQL", "PHP", "Perl", "Postgres", "Python", "R", "Ruby", "Rust", "SQL", "Scala", "Swift", "TypeScript",
)  # fmt: skip
GARBAGE_DATES = ('"12-12-2000"', "null", "10", '"?!?!?"')  # strings all four: the contest encodes them twice
BAD_STACKS = ((["1" * 40], INVALID), ("string", MALFORMED), (1, MALFORMED))
ENGLISH = {"apelido": "nickname", "nome": "fullname", "nascimento": "dob", "stack": "stack"}


@dataclass(frozen=True, slots=True)
class Payload:
    """One body of a creation, and the status it deserves from a service that has never seen its nickname."""

    body: str
    document: dict[str, Any]
    status: int


def payloads(seed: int, count: int) -> Iterator[Payload]:
    """Yield `count` people; the same seed gives the same people, and a larger count the same ones first."""
    rng = Random(f"people {seed}")
    for _ in range(count):
        values, statuses = zip(_nickname(rng), _name(rng), _date(rng), _stack(rng), strict=True)
        document = dict(zip(ENGLISH, values, strict=True))
        # The contract looks at types and forms first: 400 wins where a body has both kinds of defect.
        status = next(status for status in (MALFORMED, INVALID, CREATED) if status in statuses)
        yield Payload(json.dumps(document), document, status)


def english(body_document: dict[str, Any]) -> dict[str, Any]:
    """Return the same person with the field names of the English dialect."""
    return {ENGLISH[key]: value for key, value in body_document.items()}


def maximum(payloads: Iterable[Payload]) -> int:
    """Count the rows a perfect service holds after these creations, whatever order they arrive in."""
    return len({payload.document["apelido"] for payload in payloads if payload.status == CREATED})


def terms(seed: int, count: int) -> Iterator[str]:
    """Yield `count` search terms of letters and spaces, 1 to 50 characters long, no space at either end."""
    rng = Random(f"terms {seed}")
    for _ in range(count):
        yield _text(rng, LETTERS + " ", rng.randint(1, 50)).strip() or "x"


def _text(rng: Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))


def _rare(rng: Random) -> bool:
    return rng.randrange(99) == 0


def _nickname(rng: Random) -> tuple[str, int]:
    if _rare(rng):
        return _text(rng, LETTERS, 35), INVALID
    return _text(rng, LETTERS, rng.randint(1, 32)), CREATED


def _name(rng: Random) -> tuple[str, int]:
    if _rare(rng):
        return _text(rng, LETTERS + " ", 120), INVALID
    return _text(rng, LETTERS + " ", rng.randint(1, 100)), CREATED


def _date(rng: Random) -> tuple[str, int]:
    if _rare(rng):
        return rng.choice(GARBAGE_DATES), MALFORMED
    year, month, day = rng.randint(1940, 2020), rng.randint(1, 13), rng.randint(1, 29)
    impossible = month == 13 or (month == 2 and day == 29 and not isleap(year))
    return f"{year}-{month:02}-{day:02}", INVALID if impossible else CREATED


def _stack(rng: Random) -> tuple[Any, int]:
    if _rare(rng):
        return rng.choice(BAD_STACKS)
    if rng.randrange(14) == 0:
        return None, CREATED
    return rng.choices(STACKS, k=rng.randint(1, 26)), CREATED


def write(directory: Path, seed: int, people: int, terms_count: int, dialect: str) -> None:
    """Write people.tsv and terms.tsv, one row a line under a header, as Gatling's feeders read them."""
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
    """Write the data files of one load run."""
    parser = argparse.ArgumentParser(prog="python -m bench.people", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--terms", type=int, default=5_000)
    parser.add_argument("--dialect", choices=("official", "english"), default="official")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    write(args.out, args.seed, args.people, args.terms, args.dialect)


if __name__ == "__main__":
    main()
