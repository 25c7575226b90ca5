"""A search term to a plan: which pieces full text narrows with, which pattern decides, and what comes first.

Why the plan cannot miss: the search column holds a person's fields as one word of letters (service/letters.py), so
the ngram parser makes a token of every three neighbouring letters in it. A row that contains the term contains it
character by character, where "contains" means equal under the collation; so it has the same weights, hence the same
letters, one after the other. A row without one of the term's pieces cannot match, and among the rows that have them
LIKE decides, on the fields themselves.

Full text reads the whole list that an alphabet has of every piece, however many rows are wanted: for what is very
frequent, a scan that ends at the fiftieth hit is faster. A sample of the table tells; it decides about time alone.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from unicodedata import normalize

from service.letters import Weights, spell

LIMIT = 50
TRIGRAM = 3  # ngram_token_size in db/my.cnf
MOST_PIECES = 3  # each more is one more list to read, and these rule out nearly all rows already
# Microseconds, measured (docs/search.md): to scan a row; to read an entry of a list; to fetch a row that full text
# found, from memory or from disk, and to compare it; and what full text costs before it has read anything.
SCAN, ENTRY, CHECK, START = 1.5, 0.8, 15.0, 250.0
FIRST = 100_000  # rows of the first alphabet, about

_LIKE_SPECIAL = re.compile(r"([\\%_])")


class Plan(NamedTuple):
    """How to find the rows that contain a term.

    `pieces` are what full text narrows with (none: it cannot help), `entries` how many each row has in their lists,
    `pattern` is what LIKE decides with, `cost` what full text takes, in milliseconds, about. Where a scan comes
    `scan_first`, it is given up after as long.
    """

    pieces: tuple[Weights, ...]
    entries: float
    pattern: str
    cost: int
    scan_first: bool

    def words(self, alphabet: int) -> str:
        """Return what full text is asked for among the rows of an alphabet."""
        return " ".join(
            f'+"{spell(piece, alphabet)}"' if len(piece) == TRIGRAM else f"+{spell(piece, alphabet)}*"
            for piece in self.pieces
        )


class Sample:
    """Some rows of the search column, in the first alphabet, of a table of `total` rows."""

    def __init__(self, rows: Iterable[str] = (), total: int = 0) -> None:
        self.total = total
        self._with: dict[str, list[int]] = defaultdict(list)  # the numbers of the rows with a trigram
        texts = list(rows)
        for number, row in enumerate(texts):
            for trigram in set(_trigrams(row)):
                self._with[trigram].append(number)
        self._text = "\n".join(texts)
        self._rows = max(len(texts), 1)
        self.resolution = 1 / len(texts) if texts else 0.0  # what is rarer may not be in the sample

    def entries(self, piece: str) -> float:
        """Return about how many entries of the lists that are read for `piece` a row has."""
        return (
            len(self._with.get(piece, ())) / self._rows
            if len(piece) == TRIGRAM
            else self._text.count(piece) / self._rows
        )

    def share(self, text: str) -> float:
        """Return about what share of the rows has `text`; 0 if none of the sample has."""
        return min(self.entries(text), 1.0)

    def share_of_all(self, pieces: Sequence[str]) -> float:
        """Return about what share of the rows has each of `pieces`, and no less than the sample can tell."""
        if len(pieces) == 1:
            return self.share(pieces[0])
        rows = set.intersection(*(set(self._with.get(piece, ())) for piece in pieces))
        return max(len(rows) / self._rows, self.resolution / 2)


def plan(term: str, weigh: Callable[[str], Weights], sample: Sample) -> Plan:
    """Return how to find the rows that contain `term`, fastest as far as `sample` tells.

    `weigh` returns the weights of a text: none if it has no letters, as a zero-width space.
    """
    term = normalize("NFC", term)  # as people are stored
    weights = weigh(term)
    letters = spell(weights, 0)
    places = {letters[at : at + TRIGRAM]: at for at in range(max(len(letters) - TRIGRAM, 0) + 1)}
    entries = {piece: sample.entries(piece) for piece in places if piece}
    rarest = min(entries.values(), default=1.0)
    share = sample.share(letters) if entries and rarest else 0.0  # of the rows that match
    needed = min(LIMIT / share, sample.total) if share else sample.total  # rows until the fiftieth hit
    read = min(max(needed, FIRST), sample.total)

    def cost(pieces: Sequence[str]) -> float:
        lists = sum(entries[piece] for piece in pieces)
        return START + read * lists * ENTRY + needed * sample.share_of_all(pieces) * CHECK

    rare = [piece for piece in entries if entries[piece] <= CHECK / ENTRY * max(rarest, sample.resolution / 2)]
    pieces = _spread(rare) if not share and rarest <= 3 * sample.resolution else _cheapest(entries, cost)
    full_text = cost(pieces) if pieces else 0.0
    scan = needed * SCAN
    return Plan(
        tuple(weights[places[piece] : places[piece] + TRIGRAM] for piece in pieces),
        sum(entries[piece] for piece in pieces),
        "%" + _LIKE_SPECIAL.sub(r"\\\1", term) + "%",
        cost=1 + int(full_text / 1000),
        scan_first=scan < full_text or not pieces,
    )


def _cheapest(entries: dict[str, float], cost: Callable[[Sequence[str]], float]) -> list[str]:
    """Pick the rarest piece, and each of the next that makes full text cheaper."""
    pieces: list[str] = []
    for piece in sorted(entries, key=entries.__getitem__)[: 2 * MOST_PIECES]:
        if len(pieces) < MOST_PIECES and (not pieces or cost([*pieces, piece]) < cost(pieces)):
            pieces.append(piece)
    return pieces


def _trigrams(letters: str) -> list[str]:
    return [letters[start : start + TRIGRAM] for start in range(len(letters) - TRIGRAM + 1)]


def _spread(pieces: list[str]) -> list[str]:
    """Pick a few that lie far apart: neighbours share two letters and rule out much the same rows."""
    if len(pieces) <= MOST_PIECES:
        return pieces
    last = len(pieces) - 1
    return [pieces[last * place // (MOST_PIECES - 1)] for place in range(MOST_PIECES)]
