"""What a text is in the search column: a letter for each weight that the collation gives it, of one of 41 alphabets.

The column is made by MySQL (db/schema.sql), and nobody but MySQL knows the weights; so they are asked for. A
character's weights do not depend on its neighbours: utf8mb4_0900_ai_ci has no contractions (WL#9125, F-6).
"""

import json
from bisect import bisect_right

from service.database import Database

MOST_KNOWN = 10_000  # characters; then those known are forgotten
# How many letters had been stored before the first row of each alphabet: antes_de_inserir in db/schema.sql.
BEGINS = (0, *(1 << 22 + alphabet for alphabet in range(1, 4)), *(alphabet - 3 << 26 for alphabet in range(4, 41)))

_WEIGHTS = (
    "SELECT symbol, HEX(WEIGHT_STRING(symbol COLLATE utf8mb4_0900_ai_ci)) "
    "FROM JSON_TABLE(%s, '$[*]' COLUMNS (symbol VARCHAR(1) PATH '$')) symbols"
)

Weights = tuple[int, ...]


class Letters:
    """Knows the weights of texts, and remembers the characters it has met."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Weights] = {}

    def weigh(self, text: str) -> Weights:
        """Return the weights of `text`; raise Unavailable when MySQL does not answer."""
        unknown = sorted(set(text) - self._known.keys())
        if len(self._known) + len(unknown) > MOST_KNOWN:
            self._known.clear()
            unknown = sorted(set(text))
        if unknown:
            rows = self._database.read(_WEIGHTS, (json.dumps(unknown, ensure_ascii=False),))
            self._known.update((symbol, _numbers(weights)) for symbol, weights in rows)
        return tuple(weight for symbol in text for weight in self._known[symbol])


def spell(weights: Weights, alphabet: int) -> str:
    """Return the letters that the search column of a row of `alphabet` has for these weights."""
    if alphabet:
        return "".join([chr(0x4C00 + 0x200 * alphabet | weight & 0x1FF) for weight in weights])
    return "".join([chr(0x400 | weight & 0x6F) for weight in weights])


def newest_alphabet(letters: int) -> int:
    """Return the alphabet of a row that comes when so many letters have been stored."""
    return bisect_right(BEGINS, letters) - 1


def as_first(column: str) -> str:
    """Return a search column with the letters that it would have in the first alphabet; a canary row's end is lost."""
    return column.translate(_AS_FIRST)


def canary_word(number: int) -> str:
    """Return the letters at the end of the search column of the canary row `number`, and of no text."""
    return "".join(chr(0x04A0 + (number >> shift & 63)) for shift in (12, 6, 0))


def _numbers(weights: str) -> Weights:
    return tuple(int(weights[start : start + 4], 16) for start in range(0, len(weights), 4))


_AS_FIRST: dict[int, int | None] = {letter: 0x400 | letter & 0x6F for letter in range(0x4E00, 0x9E00)}
_AS_FIRST |= dict.fromkeys(range(0x4A0, 0x4E0))
