"""The plan of a search follows from a sample of the table."""

import pytest

import service.search
from service.search import LIMIT, Sample, SearchPlan
from service.search_key import Weights, encode

ALPHABET = "abcdefghijklmnopqrstuvwxyz_0123456789"
WEIGHTS = [weight for weight in range(0x70) if not weight & 0x10]  # with distinct codes


def weights_of(text: str) -> Weights:
    return tuple(WEIGHTS[ALPHABET.index(character)] for character in text.lower().replace(" ", "_"))


def search_key(text: str) -> str:
    return encode(weights_of(text), 0)


# Of 1,000 rows, all contain "silva", one in ten "elixir", and one in 500 "zulmira".
ROWS = [
    f"maria{n}_maria_{'zulmira_' if n % 500 == 0 else ''}silva_{'elixir' if n % 10 == 0 else 'go'}__"
    for n in range(1000)
]
KEYS = [search_key(row) for row in ROWS]
MILLION = Sample(KEYS, 1_000_000)


def plan(term: str, sample: Sample) -> SearchPlan:
    return service.search.plan_search(term, weights_of, sample)


def looked_up(term: str, sample: Sample = MILLION) -> list[str]:
    """Return the n-grams that the index looks up, as text."""
    return ["".join(ALPHABET[WEIGHTS.index(weight)] for weight in ngram) for ngram in plan(term, sample).ngrams]


def test_a_term_in_nearly_every_row_is_scanned_for_first() -> None:
    planned = plan("silva", MILLION)

    assert planned.scan_first
    assert planned.ngrams


def test_a_rare_term_is_looked_up_by_its_rarest_trigram() -> None:
    planned = plan("Zulmira", MILLION)

    assert (looked_up("Zulmira"), planned.pattern, planned.scan_first) == (["zul"], "%Zulmira%", False)


def test_a_term_in_no_row_of_the_sample_is_looked_up_by_spread_trigrams() -> None:
    assert looked_up("wolfgang") == ["wol", "lfg", "ang"]


def test_of_words_that_never_occur_together_the_trigrams_of_the_rare_word_are_looked_up() -> None:
    assert not plan("silva zulmira", MILLION).scan_first
    assert "sil" not in looked_up("silva zulmira")


def test_frequent_words_that_never_occur_together_are_not_scanned_for() -> None:
    """No row of the sample matches, so a scan would read many rows for fifty; the index reads two lists instead."""
    assert not plan("elixir maria", MILLION).scan_first


def test_a_second_ngram_is_looked_up_if_frequent_words_seldom_occur_together() -> None:
    rows = [f"{'olga_' if n % 20 == 1 else 'eva_'}{'lima' if n % 20 == 2 or n == 1 else 'dias'}__" for n in range(1000)]
    sample = Sample(map(search_key, rows), 1_000_000)

    assert len(looked_up("olga lima", sample)) > 1
    assert not plan("olga lima", sample).scan_first


def test_a_small_table_is_scanned() -> None:
    assert plan("wolfgang", Sample(KEYS[:100], 100)).scan_first


def test_the_estimated_time_of_a_frequent_term_does_not_grow_with_the_table() -> None:
    """The posting lists of one alphabet contain fifty matches."""
    assert plan("silva", Sample(KEYS, 10_000_000)).full_text_ms == plan("silva", MILLION).full_text_ms


@pytest.mark.parametrize(
    ("term", "expected"),
    [("жна", '+"жна"'), ("жнад", '+"жна" +"над"'), ("жн", "+жн*"), ("ж", "+ж*"), ("", "")],
)
def test_a_term_shorter_than_a_trigram_is_looked_up_as_a_prefix(term: str, expected: str) -> None:
    weights = tuple(ord(letter) for letter in term)
    expected = expected.translate({ord(letter): encode((ord(letter),), 0) for letter in term})

    assert service.search.plan_search("whatever", lambda text: weights, Sample()).match_expression(0) == expected


def test_an_ngram_has_different_codes_in_each_alphabet() -> None:
    planned = plan("zulmira", MILLION)

    assert len({planned.match_expression(alphabet) for alphabet in range(41)}) == 41
    assert len(set("".join(planned.match_expression(alphabet) for alphabet in range(41)))) == 41 * 3 + len('+"')


def test_a_term_without_codes_is_scanned_for() -> None:
    assert service.search.plan_search("\u200b", lambda text: (), MILLION).scan_first


@pytest.mark.parametrize(("term", "pattern"), [("100%", "%100\\%%"), ("a_b", "%a\\_b%"), ("\\", "%\\\\%")])
def test_wildcards_of_like_are_ordinary_characters(term: str, pattern: str) -> None:
    assert service.search.plan_search(term, lambda text: (), Sample()).pattern == pattern


def test_a_sample_estimates_the_frequency_of_an_ngram() -> None:
    sample = Sample(["joao", "joana", "anaana", "eva"], 4)

    assert sample.frequency("joa") == 0.5
    assert sample.frequency("ana") == 0.5, "a row counts once"
    assert sample.frequency("e") == 0.25
    assert sample.frequency("xyz") == sample.frequency("q") == 0


def test_a_sample_estimates_the_joint_frequency_of_ngrams_and_never_as_zero() -> None:
    sample = Sample(["joao", "joana", "anaana", "eva"], 4)

    assert sample.joint_frequency(["joa", "ana"]) == 0.25
    assert sample.joint_frequency(["joa", "eva"]) == 0.125


def test_an_empty_sample_estimates_zero() -> None:
    assert Sample().frequency("ana") == 0
    assert LIMIT == 50
