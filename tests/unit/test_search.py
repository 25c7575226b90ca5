"""The plan for a term, from what a sample says of the table."""

import pytest

from service.search import LIMIT, Sample, plan

# 1,000 rows as the search column holds them: everybody is called Silva, one in ten knows Elixir, one in 500 Zulmira.
ROWS = [
    f"maria{n}_Maria_{'wulmira_' if n % 500 == 0 else ''}Silva_{'Eliwir' if n % 10 == 0 else 'Go'}ǀǀ"
    for n in range(1000)
]
MILLION = Sample(ROWS, 1_000_000)


def test_what_nearly_everybody_has_is_scanned_for_first() -> None:
    planned = plan("silva", MILLION)

    assert planned.scan_first
    assert planned.words


def test_what_few_have_is_looked_up_by_its_rarest_trigram() -> None:
    planned = plan("Zulmira", MILLION)

    assert (planned.words, planned.pattern, planned.scan_first) == ('+"wul"', "%Zulmira%", False)


def test_what_nobody_of_the_sample_has_is_looked_up_by_trigrams_that_lie_apart() -> None:
    assert plan("wolfgang", MILLION).words == '+"wol" +"lfg" +"ang"'


def test_of_words_that_never_meet_the_rare_ones_trigrams_are_looked_up() -> None:
    planned = plan("silva zulmira", MILLION)

    assert not planned.scan_first
    assert "Sil" not in planned.words.title()


def test_frequent_words_that_never_meet_are_not_scanned_for() -> None:
    """No row of the sample matches, so fifty hits are far; both lists are read instead."""
    assert not plan("elixir maria", MILLION).scan_first


def test_a_small_table_is_scanned() -> None:
    assert plan("wolfgang", Sample(ROWS[:100], 100)).scan_first


def test_the_larger_the_table_the_rarer_is_what_full_text_finds() -> None:
    """A scan for 50 hits is as long in any table, while the lists grow with it."""
    assert not plan("zulmira", Sample(ROWS, 10_000)).scan_first
    assert plan("zulmira", Sample(ROWS, 100_000_000)).scan_first


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("zé", "+wé*"),
        ("C#", "+C_*"),
        ("#", "+_*"),
        ("ж", "+ж*"),
        (" ab", '+"_ab"'),
        ("a b", '+"a_b"'),
        ("e\u0301lan", '+"éla" +"lan"'),  # composed, as people are stored
        ("ab😀cd", "+ab*"),  # no trigram, but each piece begins one in the document
        ("ab😀cde", '+"cde"'),
        ("😀", ""),
        ('" +-', '+"___"'),
        ("wxYŽ", '+"www"'),  # the letters from w to z are one in the document
    ],
)
def test_only_what_the_lexer_knows_is_looked_up(term: str, words: str) -> None:
    assert plan(term, Sample()).words == words


def test_what_full_text_cannot_help_with_is_scanned_for() -> None:
    assert plan("😀", MILLION).scan_first


@pytest.mark.parametrize(("term", "pattern"), [("100%", "%100\\%%"), ("a_b", "%a\\_b%"), ("\\", "%\\\\%")])
def test_wildcards_of_like_are_ordinary_characters(term: str, pattern: str) -> None:
    assert plan(term, Sample()).pattern == pattern


def test_a_sample_folds_case_and_accents() -> None:
    sample = Sample(["Joãoǀǀ", "JOAOǀǀ", "anaǀǀ", "évaǀǀ"], 4)

    assert sample.share("joã") == sample.share("JOA") == 0.5
    assert sample.share("é") == 0.25
    assert sample.share("xyz") == sample.share("q") == 0


def test_an_empty_sample_knows_nothing() -> None:
    assert Sample().share("ana") == 0
    assert LIMIT == 50
