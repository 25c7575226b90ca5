"""The matches of a term are marked, and every person found is shown whole."""

import pytest

from ops.highlight import split_at
from ops.terminal import aligned


@pytest.mark.parametrize(
    ("text", "term", "marked"),
    [
        ("Ana Barbosa", "ana", ["Ana"]),
        ("Ana Mariana", "ANA", ["Ana", "ana"]),
        ("José", "jose", ["José"]),
        ("Jose\u0301 e Jose\u0301", "josé", ["Jose\u0301", "Jose\u0301"]),
        ("Straße", "strasse", ["Straße"]),
        ("aaaa", "aa", ["aa", "aa"]),
        ("Straße", "as", ["aß"]),
        ("Ana", "x", []),
        ("Ana", "", []),
        ("", "ana", []),
        ("C#, Node", "#, n", ["#, N"]),
        ("Ana", "\u0301", []),
    ],
)
def test_matches_are_marked_without_case_and_accents(text: str, term: str, marked: list[str]) -> None:
    pieces = list(split_at(text, term))

    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, is_match in pieces if is_match] == marked


def test_columns_are_aligned_by_what_a_terminal_shows() -> None:
    rows = [["a", "José", "x"], ["bb", "日本", "yy"], ["ccc", "Jose\u0301", ""]]

    assert aligned(rows) == [["a  ", "José", "x"], ["bb ", "日本", "yy"], ["ccc", "Jose\u0301", ""]]
    assert aligned([]) == []
