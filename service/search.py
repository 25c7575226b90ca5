"""A search term to a plan: what full text narrows to, and the pattern that decides.

Why the plan cannot miss: a row that contains the term contains, character by character, each
trigram of the term, where "contains" means equal under the collation. The ngram parser makes a
token of every three neighbouring word characters of a row, and compares tokens under the same
collation. So a row without one of the trigrams cannot match, and among the rows that have them
all LIKE decides. Only trigrams of characters that both sides of MySQL's full text (the parser of
documents and the lexer of queries) take for word characters may be used.
"""

import re
from typing import NamedTuple
from unicodedata import normalize

TRIGRAM = 3  # ngram_token_size in db/my.cnf
MOST_TRIGRAMS = 3  # each more is one more list to read, and these rule out nearly all rows already

# Letters and digits of ASCII and of the scripts whose letters MySQL's lexer knows for sure. The
# underscore is left out, and so are ligatures, modifiers and whatever may count as punctuation.
_WORD_RUN = re.compile(
    "[0-9A-Za-z"
    "À-ÖØ-öø-ɏ"  # Latin-1 and Extended-A, -B
    "Α-ΡΣ-Ωα-ω"  # Greek
    "А-яЀ-Џѐ-џ"  # Cyrillic
    "ぁ-ゔァ-ヺ一-鿋가-힣"  # kana, CJK, Hangul
    "]{3,}"
)
_LIKE_SPECIAL = re.compile(r"([\\%_])")


class Plan(NamedTuple):
    """`trigrams` that every match holds (none: full text cannot help) and the LIKE `pattern`."""

    trigrams: list[str]
    pattern: str


def plan(term: str) -> Plan:
    """Return how to find the rows that contain `term`."""
    term = normalize("NFC", term)
    trigrams = [
        run[start : start + TRIGRAM] for run in _WORD_RUN.findall(term) for start in range(len(run) - TRIGRAM + 1)
    ]
    return Plan(_spread(trigrams), "%" + _LIKE_SPECIAL.sub(r"\\\1", term) + "%")


def _spread(trigrams: list[str]) -> list[str]:
    """Pick a few that lie far apart: neighbours share two letters and rule out much the same rows."""
    if len(trigrams) <= MOST_TRIGRAMS:
        return trigrams
    last = len(trigrams) - 1
    return [trigrams[last * place // (MOST_TRIGRAMS - 1)] for place in range(MOST_TRIGRAMS)]
