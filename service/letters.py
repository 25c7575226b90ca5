"""What a text is in the search column: one of 64 Cyrillic letters for each weight that the collation gives it.

The column is made by MySQL (db/schema.sql), and nobody but MySQL knows the weights; so they are asked for. A
character's weights do not depend on its neighbours: utf8mb4_0900_ai_ci has no contractions (WL#9125, F-6).
"""

import json

from service.database import Database

MOST_KNOWN = 10_000  # characters; then those known are forgotten

_WEIGHTS = (
    "SELECT symbol, HEX(WEIGHT_STRING(symbol COLLATE utf8mb4_0900_ai_ci)) "
    "FROM JSON_TABLE(%s, '$[*]' COLUMNS (symbol VARCHAR(1) PATH '$')) symbols"
)


class Letters:
    """Spells texts as the search column does, and remembers the characters it has met."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, str] = {}

    def spell(self, text: str) -> str:
        """Return the letters of `text`; raise Unavailable when MySQL does not answer."""
        unknown = sorted(set(text) - self._known.keys())
        if len(self._known) + len(unknown) > MOST_KNOWN:
            self._known.clear()
            unknown = sorted(set(text))
        if unknown:
            rows = self._database.read(_WEIGHTS, (json.dumps(unknown, ensure_ascii=False),))
            self._known.update((symbol, _letters(bytes.fromhex(weights))) for symbol, weights in rows)
        return "".join(map(self._known.__getitem__, text))


def canary_word(number: int) -> str:
    """Return the letters at the end of the search column of the canary row `number`, and of no text."""
    return "".join(chr(0x04A0 + (number >> shift & 63)) for shift in (12, 6, 0))


def _letters(weights: bytes) -> str:
    """Keep six bits of each weight, which has two bytes, as db/schema.sql does."""
    return "".join(chr(0x0400 | low & 0x6F) for low in weights[1::2])
