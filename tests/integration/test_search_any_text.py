"""Search is exact for any text: of every character by exhaustion, of their combinations by random trial."""

import random
import re
import string
import unicodedata
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymysql.cursors import Cursor

from service.database import Database
from service.person import has_control_character
from service.search_key import Collation, canary_key, encode
from service.store import PeopleStore
from tests.integration.test_search import Oracle, by_full_text, check
from tests.support.people import nickname, somebody
from tests.support.stack import RunningStack

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
def collation(library: RunningStack) -> Collation:
    return Collation(Database(library.config))


CHARACTERS_OF_UNICODE = [chr(code) for code in range(32, 0x110000) if not 0xD800 <= code <= 0xDFFF]


def test_terms_and_documents_are_spelt_the_same_whatever_the_neighbours(root: Cursor, collation: Collation) -> None:
    """Every character of Unicode, first among the next ones in order, then among others; in each alphabet."""
    root.execute("SHOW CREATE TABLE pessoas")
    column = dict(re.findall(r"`(\w+)` medium.*GENERATED ALWAYS AS \((.*)\) (?:STORED|VIRTUAL)", root.fetchone()[1]))  # type: ignore[index]
    shuffled = random.Random(1).sample(CHARACTERS_OF_UNICODE, len(CHARACTERS_OF_UNICODE))
    for characters in (CHARACTERS_OF_UNICODE, shuffled):
        for start in range(0, len(characters), 100):
            text = "".join(characters[start : start + 100])
            alphabet = start // 100 % 41
            root.execute(
                f"WITH people AS (SELECT %s apelido, NULL nome, NULL stack, %s marca), "
                f"weighted AS (SELECT {column['pesos']} pesos, marca FROM people) "
                f"SELECT {column['busca']} FROM weighted",
                (text, alphabet << 32 | start),
            )
            canary = canary_key(start) if start else ""
            assert root.fetchone() == (encode(collation.weights(text + "\n="), alphabet) + canary,)  # type: ignore[index]


def test_equals_are_spelt_the_same(collation: Collation) -> None:
    assert collation.weights("joão JOÃO ⓙⓞⓐⓞ")[:4] == collation.weights("JOAO")
    assert collation.weights("①") == collation.weights("1")


@pytest.mark.parametrize(
    ("alphabet", "characters", "expected"),
    [
        (0, string.ascii_lowercase + string.digits + " \n", {"em", "fkw", "qz"}),
        (1, string.ascii_lowercase + string.digits + string.punctuation + " \n", {"b!", "h)"}),
    ],
)
def test_letters_digits_and_spaces_stay_apart(
    collation: Collation, alphabet: int, characters: str, expected: set[str]
) -> None:
    """A mask of other bits would make frequent characters one, and searches slow."""
    alike = defaultdict(str)
    for character in characters:
        alike[encode(collation.weights(character), alphabet)] += character
    assert {some for some in alike.values() if len(some) > 1} == expected


def test_each_letter_is_one_to_mysqls_parsers_and_like_no_other(root: Cursor) -> None:
    alphabet = [letter for number in range(41) for letter in sorted(set(encode(tuple(range(0x200)), number)))]
    alphabet += [canary_key(number)[-1] for number in range(64)]
    root.execute("DROP TABLE IF EXISTS letters")
    root.execute(
        "CREATE TABLE letters (text TEXT COLLATE utf8mb4_0900_bin NOT NULL, FULLTEXT (text) WITH PARSER ngram)"
    )
    root.executemany("INSERT INTO letters VALUES (%s)", [(letter * 3,) for letter in alphabet])

    assert len(set(alphabet)) == len(alphabet) == 64 + 40 * 512 + 64
    for number, letter in enumerate(alphabet):
        for words in (f'+"{letter * 3}"', f"+{letter}*")[: 2 if number < 640 else 1]:
            for _ in range(100):  # a sync of so many tokens hides some for milliseconds
                root.execute("SELECT text FROM letters WHERE MATCH (text) AGAINST (%s IN BOOLEAN MODE)", (words,))
                if found := root.fetchall():
                    break
            assert found == ((letter * 3,),)
    root.execute("DROP TABLE letters")


def test_a_person_whose_characters_have_many_weights_is_stored_and_found(shelf: PeopleStore) -> None:
    """One character may have 18 weights, and a request 16 KiB."""
    person = somebody(skills=["\ufdfa" * 32] * 160)
    shelf.add(person)

    assert person in shelf.search("\ufdfa" * 3)


@pytest.mark.parametrize("missing", range(1, 8))
def test_whoever_brings_the_next_eight_thousandth_letter_is_a_canary_row(
    shelf: PeopleStore, root: Cursor, missing: int
) -> None:
    """What parts and ends the fields counts too: four letters more than the text has."""
    person = somebody(name="Bruna", skills=["Go"])
    written = len(person.nickname) + len("Bruna") + len("Go")
    root.execute("UPDATE contagem SET letras = (letras DIV 8000 + 2) * 8000 - %s", (written + 4 - missing + 1,))
    shelf.add(person)

    root.execute("SELECT marca & 0xFFFFFFFF > 0 FROM pessoas WHERE id = %s", (person.id,))
    assert root.fetchall() == ((1,),)


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
    person = somebody(nickname=(nickname()[:8] + fields[0])[:32], name=fields[1], skills=fields[2:] or None)
    assert not has_control_character("".join(fields))
    shelf.add(person)
    oracle.learn(person)

    for term in terms:
        assert check(shelf, oracle, term) is None
        with monkeypatch.context() as patch:
            patch.setattr("service.finder.plan_search", by_full_text)
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
