"""A search term to a plan: which words full text narrows with, which pattern decides, and what comes first.

Why the plan cannot miss: the search column holds a person's fields as one word of letters (service/letters.py), so
the ngram parser makes a token of every three neighbouring letters in it. A row that contains the term contains it
character by character, where "contains" means equal under the collation; so it has the same weights, hence the same
letters, one after the other. A row without one of the term's pieces cannot match, and among the rows that have them
LIKE decides, on the fields themselves.

Full text reads the whole list of every piece, however many rows are wanted: for what is frequent, a scan that
ends at the fiftieth hit is faster by far. A sample of the table tells which; it decides about time alone.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple
from unicodedata import normalize

LIMIT = 50
TRIGRAM = 3  # ngram_token_size in db/my.cnf
MOST_TRIGRAMS = 3  # each more is one more list to read, and these rule out nearly all rows already
STEP = 1.5  # microseconds to scan a row, and to read an entry of a list: measured, docs/search.md
CHECK = 12  # steps to fetch a row that full text found, from memory or from disk, and to compare it
START = 150  # steps that full text costs before it has read anything

_LIKE_SPECIAL = re.compile(r"([\\%_])")


class Plan(NamedTuple):
    """How to find the rows that contain a term.

    `words` is what full text narrows with (empty: it cannot help), `pattern` what LIKE decides with, `cost` what
    full text takes, in milliseconds, about. Where a scan comes `scan_first`, it is given up after as long.
    """

    words: str
    pattern: str
    cost: int
    scan_first: bool


class Sample:
    """Some rows of the search column, of a table of `total` rows: says how frequent a piece is, about."""

    def __init__(self, rows: Sequence[str] = (), total: int = 0) -> None:
        self.total = total
        self._rows = max(len(rows), 1)
        self.resolution = 1 / len(rows) if rows else 0.0  # what is rarer may not be in the sample
        self._text = "\n".join(rows)
        self._trigrams = Counter(trigram for row in rows for trigram in set(_trigrams(row)))

    def share(self, piece: str) -> float:
        """Return about what share of the rows has `piece`; 0 if none of the sample has."""
        found = self._trigrams[piece] if len(piece) == TRIGRAM else self._text.count(piece)
        return min(found / self._rows, 1.0)


def plan(term: str, spell: Callable[[str], str], sample: Sample) -> Plan:
    """Return how to find the rows that contain `term`, fastest as far as `sample` tells.

    `spell` returns the letters of a text: none if it has no weight, as a zero-width space.
    """
    term = normalize("NFC", term)  # as people are stored
    letters = spell(term)
    trigrams = _trigrams(letters)
    shares = {piece: sample.share(piece) for piece in trigrams or filter(None, [letters])}
    rarest = min(shares.values(), default=1.0)
    share = sample.share(letters) if shares and rarest else 0.0  # of the rows that match
    if share or not trigrams:
        pieces = [piece for piece in shares if shares[piece] == rarest][:1]
    else:
        pieces = _spread([piece for piece in shares if shares[piece] <= CHECK * max(rarest, sample.resolution)])
    candidates = sample.total * rarest * min(1.0, LIMIT / (sample.total * share) if share else 1.0)
    full_text = START + sample.total * sum(shares[piece] for piece in pieces) + CHECK * candidates
    scan = min(LIMIT / share, sample.total) if share else sample.total
    return Plan(
        _required(pieces) if trigrams else " ".join(f"+{piece}*" for piece in pieces),
        "%" + _LIKE_SPECIAL.sub(r"\\\1", term) + "%",
        cost=1 + int(full_text * STEP / 1000),
        scan_first=scan < full_text or not pieces,
    )


def _trigrams(letters: str) -> list[str]:
    return [letters[start : start + TRIGRAM] for start in range(len(letters) - TRIGRAM + 1)]


def _required(trigrams: list[str]) -> str:
    return " ".join(f'+"{trigram}"' for trigram in trigrams)


def _spread(pieces: list[str]) -> list[str]:
    """Pick a few that lie far apart: neighbours share two letters and rule out much the same rows."""
    if len(pieces) <= MOST_TRIGRAMS:
        return pieces
    last = len(pieces) - 1
    return [pieces[last * place // (MOST_TRIGRAMS - 1)] for place in range(MOST_TRIGRAMS)]
