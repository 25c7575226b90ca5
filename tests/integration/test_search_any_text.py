"""Search is exact for any text: of every character by exhaustion, of their combinations by random trial."""

import random
import re
import string
import unicodedata
from collections import defaultdict
from collections.abc import Iterator

import pymysql
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymysql.cursors import Cursor

from service.database import Database
from service.letters import Letters, canary_word
from service.person import has_control_character
from service.store import PeopleStore
from tests.conftest import RunningStack, nickname, somebody
from tests.integration.test_search import Oracle, by_full_text, check

# Made to hurt: next to each other they form words, end words, look like operators, compare equal or vanish.
CHARACTERS = st.one_of(
    st.sampled_from("abcABC12 "),
    st.sampled_from(" _-+.,#@%&*()<>~\"'\\/^|=$?!:;[]{}`"),
    st.sampled_from(
        "éÉãç\u0301\u0327\u0308ßẞſİıΣςσжЖйЙ東京トト한글ǀªº²½①ⓐ…＃．Ａ１\u00a0\u200b\u200d\u2003\u3000—“”€™😀👍🏽👩‍💻"
    ),
    st.characters(exclude_categories=("Cc", "Cs")),
)
FIELDS = st.text(CHARACTERS, min_size=1, max_size=12).map(lambda text: unicodedata.normalize("NFC", text))


@pytest.fixture(scope="module")
def root(library: RunningStack) -> Iterator[Cursor]:
    connection = pymysql.connect(
        unix_socket=library.config.db_socket, user="root", database="rinha", charset="utf8mb4", autocommit=True,
        ssl_disabled=True,
    )  # fmt: skip
    yield connection.cursor()
    connection.close()


@pytest.fixture(scope="module")
def letters(library: RunningStack) -> Letters:
    return Letters(Database(library.config))


CHARACTERS_OF_UNICODE = [chr(code) for code in range(32, 0x110000) if not 0xD800 <= code <= 0xDFFF]


def test_terms_and_documents_are_spelt_the_same_whatever_the_neighbours(root: Cursor, letters: Letters) -> None:
    """Every character of Unicode, first among the next ones in order, then among others."""
    root.execute("SHOW CREATE TABLE pessoas")
    column = dict(re.findall(r"`(\w+)` medium.*GENERATED ALWAYS AS \((.*)\) (?:STORED|VIRTUAL)", root.fetchone()[1]))  # type: ignore[index]
    shuffled = random.Random(1).sample(CHARACTERS_OF_UNICODE, len(CHARACTERS_OF_UNICODE))
    for characters in (CHARACTERS_OF_UNICODE, shuffled):
        for start in range(0, len(characters), 100):
            text = "".join(characters[start : start + 100])
            root.execute(
                f"WITH people AS (SELECT %s apelido, NULL nome, NULL stack, %s canario), "
                f"weighted AS (SELECT {column['pesos']} pesos, canario FROM people) "
                f"SELECT {column['busca']} FROM weighted",
                (text, start),
            )
            canary = canary_word(start) if start else ""
            assert root.fetchone() == (letters.spell(text + "\n=") + canary,)  # type: ignore[index]


def test_equals_are_spelt_the_same(letters: Letters) -> None:
    assert letters.spell("joão JOÃO ⓙⓞⓐⓞ")[:4] == letters.spell("JOAO")
    assert letters.spell("①") == letters.spell("1")


def test_letters_digits_and_spaces_stay_apart(letters: Letters) -> None:
    """A mask of other bits would make frequent characters one, and searches slow."""
    characters = string.ascii_lowercase + string.digits + " \n"
    alike = defaultdict(str)
    for character, letter in zip(characters, letters.spell(characters), strict=True):
        alike[letter] += character
    assert {some for some in alike.values() if len(some) > 1} == {"em", "fkw", "qz"}


def test_each_letter_is_one_to_mysqls_parsers_and_like_no_other(root: Cursor) -> None:
    alphabet = [chr(0x0400 | bits) for bits in range(0x70) if not bits & 0x10]
    alphabet += [canary_word(number)[-1] for number in range(64)]
    root.execute("DROP TABLE IF EXISTS letters")
    root.execute(
        "CREATE TABLE letters (text TEXT COLLATE utf8mb4_0900_bin NOT NULL, FULLTEXT (text) WITH PARSER ngram)"
    )
    root.executemany("INSERT INTO letters VALUES (%s)", [(letter * 3,) for letter in alphabet])

    assert len(set(alphabet)) == 128
    for letter in alphabet:
        for words in (f'+"{letter * 3}"', f"+{letter}*"):
            root.execute("SELECT text FROM letters WHERE MATCH (text) AGAINST (%s IN BOOLEAN MODE)", (words,))
            assert root.fetchall() == ((letter * 3,),)
    root.execute("DROP TABLE letters")


def test_a_person_whose_characters_have_many_weights_is_stored_and_found(shelf: PeopleStore) -> None:
    """One character may have 18 weights, and a request 16 KiB."""
    person = somebody(stack=["\ufdfa" * 32] * 160)
    shelf.add(person)

    assert person in shelf.search("\ufdfa" * 3)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Draw the fields of a person (nickname's end, name, skills) and terms: pieces of them, and others."""
    fields = draw(st.lists(FIELDS, min_size=2, max_size=5))
    joined = "\n".join(fields)
    terms = []
    for _ in range(4):
        start = draw(st.integers(0, len(joined) - 1))
        piece = joined[start : start + draw(st.integers(1, 8))]
        change = draw(st.sampled_from(["none", "join", "case", "decompose", "other"]))
        if change == "other":
            piece = draw(st.text(CHARACTERS, min_size=1, max_size=6))
        elif change == "join":
            piece = piece.replace("\n", "")  # across two fields, where there are two
        elif change == "case":
            piece = piece.swapcase()
        elif change == "decompose":
            piece = unicodedata.normalize("NFD", piece)
        terms.append(piece.replace("\n", " ") or "a")
    return fields, terms


@pytest.fixture(scope="module")
def oracle(library: RunningStack) -> Oracle:
    oracle = Oracle(library)
    oracle.read_table()
    return oracle


@pytest.mark.timeout(600)  # thousands of searches, on whatever machine
@settings(
    max_examples=500,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cases())
@example((["C#", "c++", "F#"], ["c#", "C+", "f#", "#"]))
@example((["①bc", "ⓐbc"], ["1bc", "abc", "bc", "c"]))
@example((["qz", "q\u00a0z", "q．z"], ["qz", "q z", "q.z", "z"]))
def test_whatever_is_stored_whatever_is_searched_for_the_answer_is_the_oracles(
    shelf: PeopleStore, oracle: Oracle, monkeypatch: pytest.MonkeyPatch, case: tuple[list[str], list[str]]
) -> None:
    fields, terms = case
    person = somebody(nickname=(nickname()[:8] + fields[0])[:32], name=fields[1], stack=fields[2:] or None)
    assert not has_control_character("".join(fields))
    shelf.add(person)
    oracle.learn(person)

    for term in terms:
        assert check(shelf, oracle, term) is None
        with monkeypatch.context() as patch:
            patch.setattr("service.finder.plan", by_full_text)
            assert check(shelf, oracle, term) is None


def test_people_are_found_after_the_index_was_optimised_or_rebuilt(
    shelf: PeopleStore, oracle: Oracle, root: Cursor
) -> None:
    for only_the_index in ("ON", "OFF"):
        person = somebody(name="Żółć gęślą")
        shelf.add(person)
        oracle.learn(person)
        root.execute(f"SET GLOBAL innodb_optimize_fulltext_only = {only_the_index}")
        root.execute("OPTIMIZE TABLE pessoas")

        for term in (person.nickname, "Żół", "ęśl", "ą", "zz", "é", "😀"):
            assert check(shelf, oracle, term) is None
