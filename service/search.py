"""Plans a search: which n-grams the full-text index looks up, which LIKE pattern decides, and whether to scan first.

A plan misses no match. The search key of a row has one code for each collation weight of its fields, and characters
that compare equal have equal weights. So the search key of a matching row contains the search key of the term. The
ngram parser indexes every three neighbouring codes; hence a matching row has every n-gram of the term. LIKE on the
original fields decides among the rows that the index returns.

The full-text index reads the whole posting list of an n-gram in an alphabet, however few rows are wanted. For a
frequent term, a table scan that stops at the 50th match is faster. A sample of the table tells; it affects time, not
results.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from unicodedata import normalize

from service.search_key import Weights, encode, in_first_alphabet

LIMIT = 50
NGRAM_SIZE = 3  # ngram_token_size in db/my.cnf
MAX_NGRAMS = 3  # each further n-gram costs a posting list, and three exclude nearly all other rows
# Microseconds, measured (docs/search.md): to scan a row, to read a posting, to fetch a row that the index returned and
# compare it, and what a full-text search costs before it has read anything.
ROW_COST, POSTING_COST, FETCH_COST, STARTUP_COST = 1.5, 0.8, 15.0, 250.0
FIRST_ALPHABET_ROWS = 100_000  # approximately

_LIKE_SPECIAL = re.compile(r"([\\%_])")


class SearchPlan(NamedTuple):
    """How to find the rows that contain a term.

    `ngrams` are what the full-text index looks up; without any, only a scan can answer. `postings_per_row` estimates
    how many postings the index reads for each row of the table. `pattern` is the pattern of LIKE. `full_text_ms` is the
    estimated time of the full-text search, and the time limit of the scan if the plan is to `scan_first`.
    """

    ngrams: tuple[Weights, ...]
    postings_per_row: float
    pattern: str
    full_text_ms: int
    scan_first: bool

    def match_expression(self, alphabet: int) -> str:
        """Return the boolean-mode expression that matches rows of an alphabet with all n-grams."""
        return " ".join(
            f'+"{encode(ngram, alphabet)}"' if len(ngram) == NGRAM_SIZE else f"+{encode(ngram, alphabet)}*"
            for ngram in self.ngrams
        )

    def may_match(self, search_key: str) -> bool:
        """Return whether the match expression of its alphabet may match a row with this search key."""
        key = in_first_alphabet(search_key)
        return all(encode(ngram, 0) in key for ngram in self.ngrams)


class Sample:
    """The search keys of some rows, in the first alphabet, from a table of `total` rows."""

    def __init__(self, search_keys: Iterable[str] = (), total: int = 0) -> None:
        keys = list(search_keys)
        self.total = total
        self.resolution = 1 / len(keys) if keys else 0.0  # a lower frequency may not show in the sample
        self._size = max(len(keys), 1)
        self._text = "\n".join(keys)
        self._rows_with: dict[str, list[int]] = defaultdict(list)  # row numbers by n-gram
        for number, key in enumerate(keys):
            for ngram in set(ngrams_of(key)):
                self._rows_with[ngram].append(number)

    def postings_per_row(self, text: str) -> float:
        """Return the estimated postings per row of the table that a look-up of an n-gram, or of a prefix, reads."""
        if len(text) == NGRAM_SIZE:
            return len(self._rows_with.get(text, ())) / self._size
        return self._text.count(text) / self._size

    def frequency(self, text: str) -> float:
        """Return the estimated share of rows that contain `text`; 0 if no sampled row does."""
        return min(self.postings_per_row(text), 1.0)

    def joint_frequency(self, ngrams: Sequence[str]) -> float:
        """Return the estimated share of rows that contain all of `ngrams`; at least half the resolution."""
        if len(ngrams) == 1:
            return self.frequency(ngrams[0])
        rows = set.intersection(*(set(self._rows_with.get(ngram, ())) for ngram in ngrams))
        return max(len(rows) / self._size, self.resolution / 2)


class _CostModel:
    """Estimates how many microseconds it takes to find the first 50 rows that contain a term."""

    def __init__(self, key: str, ngrams: Iterable[str], sample: Sample) -> None:
        self.sample = sample
        self.postings = {ngram: sample.postings_per_row(ngram) for ngram in ngrams}
        self.rarest = min(self.postings.values(), default=1.0)
        self.frequency = sample.frequency(key) if self.postings and self.rarest else 0.0
        self._rows_to_last_match = min(LIMIT / self.frequency, sample.total) if self.frequency else sample.total

    def scan(self) -> float:
        """Return the cost of a scan that stops at the 50th match."""
        return self._rows_to_last_match * ROW_COST

    def full_text(self, ngrams: Sequence[str]) -> float:
        """Return the cost of a full-text search, which reads the posting lists of at least the first alphabet."""
        rows = min(max(self._rows_to_last_match, FIRST_ALPHABET_ROWS), self.sample.total)
        postings = rows * sum(self.postings[ngram] for ngram in ngrams)
        fetched = self._rows_to_last_match * self.sample.joint_frequency(ngrams)
        return STARTUP_COST + postings * POSTING_COST + fetched * FETCH_COST


def ngrams_of(text: str) -> list[str]:
    """Return the n-grams of `text` in order, as MySQL's ngram parser cuts them; none if `text` is too short."""
    return [text[start : start + NGRAM_SIZE] for start in range(len(text) - NGRAM_SIZE + 1)]


def plan_search(term: str, weights_of: Callable[[str], Weights], sample: Sample) -> SearchPlan:
    """Return the plan for `term` that is fastest according to `sample`.

    `weights_of` returns the collation weights of a text. A text may have none: a zero-width space is ignored.
    """
    term = normalize("NFC", term)  # as people are stored
    weights = weights_of(term)
    key = encode(weights, 0)
    starts = {ngram: start for start, ngram in enumerate(ngrams_of(key) or [key])}  # or a prefix
    starts.pop("", None)  # a term without weights has no n-gram
    cost = _CostModel(key, starts, sample)
    ngrams = _choose_ngrams(cost)
    full_text = cost.full_text(ngrams) if ngrams else 0.0
    return SearchPlan(
        tuple(weights[starts[ngram] : starts[ngram] + NGRAM_SIZE] for ngram in ngrams),
        sum(cost.postings[ngram] for ngram in ngrams),
        "%" + _LIKE_SPECIAL.sub(r"\\\1", term) + "%",
        full_text_ms=1 + int(full_text / 1000),
        scan_first=cost.scan() < full_text or not ngrams,
    )


def _choose_ngrams(cost: _CostModel) -> list[str]:
    """Return the n-grams to look up; none if the term has none."""
    resolution = cost.sample.resolution
    if cost.frequency or cost.rarest > 3 * resolution:
        return _cheapest(cost)
    # The sample does not know the term. N-grams that lie apart exclude different rows; neighbours share two codes.
    longest_list = FETCH_COST / POSTING_COST * max(cost.rarest, resolution / 2)
    return _spread([ngram for ngram, postings in cost.postings.items() if postings <= longest_list])


def _cheapest(cost: _CostModel) -> list[str]:
    """Return the rarest n-gram, and each of the next rarest that makes the full-text search cheaper."""
    chosen: list[str] = []
    for ngram in sorted(cost.postings, key=cost.postings.__getitem__)[: 2 * MAX_NGRAMS]:
        if len(chosen) < MAX_NGRAMS and (not chosen or cost.full_text([*chosen, ngram]) < cost.full_text(chosen)):
            chosen.append(ngram)
    return chosen


def _spread(ngrams: list[str]) -> list[str]:
    """Return a few n-grams at equal distances, the first and the last included."""
    if len(ngrams) <= MAX_NGRAMS:
        return ngrams
    last = len(ngrams) - 1
    return [ngrams[last * place // (MAX_NGRAMS - 1)] for place in range(MAX_NGRAMS)]
