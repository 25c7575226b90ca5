"""The plan for a term, from what a sample says of the table."""

import pytest

import service.search
from service.search import LIMIT, Plan, Sample

# 1,000 rows of letters, which are Latin here: everybody is called Silva, one in ten knows Elixir, one in 500 Zulmira.
ROWS = [
    f"maria{n}_maria_{'zulmira_' if n % 500 == 0 else ''}silva_{'elixir' if n % 10 == 0 else 'go'}__"
    for n in range(1000)
]
MILLION = Sample(ROWS, 1_000_000)


def plan(term: str, sample: Sample) -> Plan:
    return service.search.plan(term, lambda text: text.lower().replace(" ", "_"), sample)


def test_what_nearly_everybody_has_is_scanned_for_first() -> None:
    planned = plan("silva", MILLION)

    assert planned.scan_first
    assert planned.words


def test_what_few_have_is_looked_up_by_its_rarest_trigram() -> None:
    planned = plan("Zulmira", MILLION)

    assert (planned.words, planned.pattern, planned.scan_first) == ('+"zul"', "%Zulmira%", False)


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
    ("letters", "words"),
    [("жна", '+"жна"'), ("жнад", '+"жна" +"над"'), ("жн", "+жн*"), ("ж", "+ж*"), ("", "")],
)
def test_less_than_a_trigram_is_looked_up_as_the_beginning_of_one(letters: str, words: str) -> None:
    assert service.search.plan("whatever", lambda text: letters, Sample()).words == words


def test_what_has_no_letters_is_scanned_for() -> None:
    assert service.search.plan("\u200b", lambda text: "", MILLION).scan_first


@pytest.mark.parametrize(("term", "pattern"), [("100%", "%100\\%%"), ("a_b", "%a\\_b%"), ("\\", "%\\\\%")])
def test_wildcards_of_like_are_ordinary_characters(term: str, pattern: str) -> None:
    assert plan(term, Sample()).pattern == pattern


def test_a_sample_tells_what_share_of_the_rows_has_a_piece() -> None:
    sample = Sample(["joao", "joana", "anaana", "eva"], 4)

    assert sample.share("joa") == 0.5
    assert sample.share("ana") == 0.5, "a row counts once"
    assert sample.share("e") == 0.25
    assert sample.share("xyz") == sample.share("q") == 0


def test_an_empty_sample_knows_nothing() -> None:
    assert Sample().share("ana") == 0
    assert LIMIT == 50
