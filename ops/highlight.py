"""Finds a search term in the texts of the people found, to show why they were found.

MySQL has found them by its collation. This module compares letters without case and accents, which is nearly the same.
A person whose match it does not find is shown without a mark.
"""

import unicodedata
from collections.abc import Iterator


def split_at(text: str, term: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a text, each with whether it matches the term."""
    letters, places = _folded(text)
    wanted, _ = _folded(term)
    end = 0
    start = letters.find(wanted) if wanted else -1
    while start >= 0:
        first, last = places[start], places[start + len(wanted) - 1]
        while last + 1 < len(text) and unicodedata.combining(text[last + 1]):
            last += 1
        if first >= end:
            yield text[end:first], False
            yield text[first : last + 1], True
            end = last + 1
        start = letters.find(wanted, start + len(wanted))
    yield text[end:], False


def _folded(text: str) -> tuple[str, list[int]]:
    """Return the letters of a text without case and accents, and the place in the text that each came from."""
    letters = [
        (letter, place)
        for place, character in enumerate(text)
        for letter in unicodedata.normalize("NFD", character).casefold()
        if not unicodedata.combining(letter)
    ]
    return "".join(letter for letter, _ in letters), [place for _, place in letters]
