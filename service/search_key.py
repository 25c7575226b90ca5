"""The search key of a text: one code for each collation weight. MySQL stores it in the column `busca` (db/schema.sql).

Only MySQL knows the weights of utf8mb4_0900_ai_ci, so the service asks for them. This collation has no contractions
(MySQL WL#9125, F-6): the weights of a character do not depend on its neighbours.

The codes of a row are characters of one of 41 alphabets, which have no character in common. A row's alphabet depends on
the number of codes that had been stored before the row (docs/decisions/0002-alphabets-by-age.md).
"""

import json
from bisect import bisect_right

from service.database import Database

MAX_CACHED_CHARACTERS = 10_000
# The number of codes stored before the first row of each alphabet, as in the trigger antes_de_inserir (db/schema.sql).
ALPHABET_STARTS = (
    0,
    *(1 << 22 + alphabet for alphabet in range(1, 4)),
    *(alphabet - 3 << 26 for alphabet in range(4, 41)),
)

_WEIGHTS = (
    "SELECT symbol, HEX(WEIGHT_STRING(symbol COLLATE utf8mb4_0900_ai_ci)) "
    "FROM JSON_TABLE(%s, '$[*]' COLUMNS (symbol VARCHAR(1) PATH '$')) symbols"
)

Weights = tuple[int, ...]


class Collation:
    """Returns the collation weights of texts, and caches those of characters."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cached: dict[str, Weights] = {}

    def weights(self, text: str) -> Weights:
        """Return the weights of `text`; raise Unavailable if MySQL does not answer."""
        unknown = sorted(set(text) - self._cached.keys())
        if len(self._cached) + len(unknown) > MAX_CACHED_CHARACTERS:
            self._cached.clear()
            unknown = sorted(set(text))
        if unknown:
            rows = self._database.read(_WEIGHTS, (json.dumps(unknown, ensure_ascii=False),))
            self._cached.update((character, _parse_weights(weights)) for character, weights in rows)
        return tuple(weight for character in text for weight in self._cached[character])


def encode(weights: Weights, alphabet: int) -> str:
    """Return the search key of a text with these weights, in an alphabet."""
    if alphabet:
        return "".join([chr(0x4C00 + 0x200 * alphabet | weight & 0x1FF) for weight in weights])
    return "".join([chr(0x400 | weight & 0x6F) for weight in weights])


def newest_alphabet(codes: int) -> int:
    """Return the alphabet of a row that is stored after `codes` codes."""
    return bisect_right(ALPHABET_STARTS, codes) - 1


def in_first_alphabet(search_key: str) -> str:
    """Return a stored search key as it would be in the first alphabet, without the number of a canary row."""
    return search_key.translate(_TO_FIRST_ALPHABET)


def canary_key(number: int) -> str:
    """Return the three codes that end the search key of canary row `number`, and of no other row."""
    return "".join(chr(0x04A0 + (number >> shift & 63)) for shift in (12, 6, 0))


def _parse_weights(digits: str) -> Weights:
    return tuple(int(digits[start : start + 4], 16) for start in range(0, len(digits), 4))


_TO_FIRST_ALPHABET: dict[int, int | None] = {code: 0x400 | code & 0x6F for code in range(0x4E00, 0x9E00)}
_TO_FIRST_ALPHABET |= dict.fromkeys(range(0x4A0, 0x4E0))
