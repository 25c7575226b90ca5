"""The plan for a term, from what a sample says of the table."""

import pytest

import service.search
from service.search import LIMIT, Sample, SearchPlan
from service.search_key import Weights, encode

ALPHABET = "abcdefghijklmnopqrstuvwxyz_0123456789"
NARROW = [weight for weight in range(0x70) if not weight & 0x10]  # weights that no two have the same letter of


def weights_of(text: str) -> Weights:
    return tuple(NARROW[ALPHABET.index(character)] for character in text.lower().replace(" ", "_"))


def written(text: str) -> str:
    return encode(weights_of(text), 0)


# 1,000 rows of letters: everybody is called Silva, one in ten knows Elixir, one in 500 Zulmira.
ROWS = [
    f"maria{n}_maria_{'zulmira_' if n % 500 == 0 else ''}silva_{'elixir' if n % 10 == 0 else 'go'}__"
    for n in range(1000)
]
WRITTEN = [written(row) for row in ROWS]
MILLION = Sample(WRITTEN, 1_000_000)


def plan(term: str, sample: Sample) -> SearchPlan:
    return service.search.plan_search(term, weights_of, sample)


def looked_up(term: str, sample: Sample = MILLION) -> list[str]:
    """Return the pieces that full text narrows with, as text."""
    return ["".join(ALPHABET[NARROW.index(weight)] for weight in ngram) for ngram in plan(term, sample).ngrams]


def test_what_nearly_everybody_has_is_scanned_for_first() -> None:
    planned = plan("silva", MILLION)

    assert planned.scan_first
    assert planned.ngrams


def test_what_few_have_is_looked_up_by_its_rarest_trigram() -> None:
    planned = plan("Zulmira", MILLION)

    assert (looked_up("Zulmira"), planned.pattern, planned.scan_first) == (["zul"], "%Zulmira%", False)


def test_what_nobody_of_the_sample_has_is_looked_up_by_trigrams_that_lie_apart() -> None:
    assert looked_up("wolfgang") == ["wol", "lfg", "ang"]


def test_of_words_that_never_meet_the_rare_ones_trigrams_are_looked_up() -> None:
    assert not plan("silva zulmira", MILLION).scan_first
    assert "sil" not in looked_up("silva zulmira")


def test_frequent_words_that_never_meet_are_not_scanned_for() -> None:
    """No row of the sample matches, so fifty hits are far; both lists are read instead."""
    assert not plan("elixir maria", MILLION).scan_first


def test_of_frequent_words_that_seldom_meet_a_second_piece_is_looked_up_where_it_spares_rows() -> None:
    rows = [f"{'olga_' if n % 20 == 1 else 'eva_'}{'lima' if n % 20 == 2 or n == 1 else 'dias'}__" for n in range(1000)]
    sample = Sample(map(written, rows), 1_000_000)

    assert len(looked_up("olga lima", sample)) > 1
    assert not plan("olga lima", sample).scan_first


def test_a_small_table_is_scanned() -> None:
    assert plan("wolfgang", Sample(WRITTEN[:100], 100)).scan_first


def test_the_time_for_what_is_found_does_not_grow_with_the_table() -> None:
    """The lists of one alphabet are enough."""
    assert plan("silva", Sample(WRITTEN, 10_000_000)).full_text_ms == plan("silva", MILLION).full_text_ms


@pytest.mark.parametrize(
    ("letters", "words"),
    [("жна", '+"жна"'), ("жнад", '+"жна" +"над"'), ("жн", "+жн*"), ("ж", "+ж*"), ("", "")],
)
def test_less_than_a_trigram_is_looked_up_as_the_beginning_of_one(letters: str, words: str) -> None:
    weights = tuple(ord(letter) for letter in letters)
    expected = words.translate({ord(letter): encode((ord(letter),), 0) for letter in letters})

    assert service.search.plan_search("whatever", lambda text: weights, Sample()).match_expression(0) == expected


def test_a_piece_has_other_letters_in_each_alphabet() -> None:
    planned = plan("zulmira", MILLION)

    assert len({planned.match_expression(alphabet) for alphabet in range(41)}) == 41
    assert len(set("".join(planned.match_expression(alphabet) for alphabet in range(41)))) == 41 * 3 + len('+"')


def test_what_has_no_letters_is_scanned_for() -> None:
    assert service.search.plan_search("\u200b", lambda text: (), MILLION).scan_first


@pytest.mark.parametrize(("term", "pattern"), [("100%", "%100\\%%"), ("a_b", "%a\\_b%"), ("\\", "%\\\\%")])
def test_wildcards_of_like_are_ordinary_characters(term: str, pattern: str) -> None:
    assert service.search.plan_search(term, lambda text: (), Sample()).pattern == pattern


def test_a_sample_tells_what_share_of_the_rows_has_a_piece() -> None:
    sample = Sample(["joao", "joana", "anaana", "eva"], 4)

    assert sample.frequency("joa") == 0.5
    assert sample.frequency("ana") == 0.5, "a row counts once"
    assert sample.frequency("e") == 0.25
    assert sample.frequency("xyz") == sample.frequency("q") == 0


def test_a_sample_tells_what_share_of_the_rows_has_several_pieces_and_never_that_none_has() -> None:
    sample = Sample(["joao", "joana", "anaana", "eva"], 4)

    assert sample.joint_frequency(["joa", "ana"]) == 0.25
    assert sample.joint_frequency(["joa", "eva"]) == 0.125


def test_an_empty_sample_knows_nothing() -> None:
    assert Sample().frequency("ana") == 0
    assert LIMIT == 50
