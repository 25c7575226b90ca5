"""Search is exact for any text: of every character by exhaustion, of their combinations by random trial."""

import re
import time
import unicodedata
from collections import defaultdict
from collections.abc import Iterator

import pymysql
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymysql.cursors import Cursor

from service.person import has_control_character
from service.search import _AS_STORED, _PUNCTUATION, _SAFE
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


def test_every_character_becomes_in_documents_what_its_equals_become_in_terms(root: Cursor) -> None:
    root.execute("SHOW CREATE TABLE pessoas")
    expression = re.search(r"GENERATED ALWAYS AS \((.*)\) STORED", root.fetchone()[1])  # type: ignore[index]
    assert expression
    characters = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code <= 0xDFFF]
    weight, searched = {}, {}
    for start in range(0, len(characters), 20_000):
        codes = str([ord(character) for character in characters[start : start + 20_000]])
        root.execute(
            f"SELECT apelido, HEX(WEIGHT_STRING(apelido COLLATE utf8mb4_0900_ai_ci)), {expression[1]} FROM ("
            "SELECT CONVERT(CHAR(code USING utf32) USING utf8mb4) apelido, NULL nome, NULL stack "
            f"FROM JSON_TABLE('{codes}', '$[*]' COLUMNS (code INT PATH '$')) codes) characters"
        )
        for character, its_weight, text in root.fetchall():
            weight[character], searched[character] = its_weight, text[:-2]
    assert len(weight) == len(characters)
    equals = defaultdict(set)
    for character in characters:
        equals[weight[character]].add(character)
    punctuation = {chr(code) for code in _PUNCTUATION if weight.get(chr(code))}
    letters = set(_SAFE.findall(" ".join(characters))) - {"_"}

    assert len(punctuation) > 30
    assert len(letters) > 30_000
    assert [
        (equal, character)
        for character in punctuation | letters
        for equal in equals[weight[character]]
        if weight[searched[equal]] != weight[character.translate(_AS_STORED)]
    ] == []
    assert {searched[character] for character in "wxyzWXYZýŽ"} == {"w"}


def test_every_letter_that_terms_may_use_is_one_to_the_lexer_of_queries(root: Cursor) -> None:
    letters = sorted(set(_SAFE.findall(" ".join(map(chr, range(1, 0xD800))))))
    root.execute("DROP TABLE IF EXISTS letters")
    root.execute(
        "CREATE TABLE letters (text TEXT COLLATE utf8mb4_0900_ai_ci NOT NULL, FULLTEXT (text) WITH PARSER ngram)"
    )
    hundreds = [letters[start : start + 100] for start in range(0, len(letters), 100)]
    root.executemany("INSERT INTO letters VALUES (%s)", [("".join(c * 3 for c in some),) for some in hundreds])

    for some in hundreds:
        words = " ".join(f'+"{letter * 3}"' for letter in some)
        looked = 0
        while not root.execute("SELECT 1 FROM letters WHERE MATCH (text) AGAINST (%s IN BOOLEAN MODE)", (words,)):
            looked += 1  # InnoDB may be merging the index, which service/finder.py sees and this does not
            assert looked < 50, some
            time.sleep(0.1)
    root.execute("DROP TABLE letters")


def test_no_letter_that_terms_may_use_cuts_off_the_rest_of_a_query(root: Cursor) -> None:
    """MySQL makes it lower case in place: where that takes more bytes, what follows is lost."""
    letters = sorted(set("".join(_SAFE.findall(" ".join(map(chr, range(1, 0xD800)))))))
    cut = []
    for letter in ["Ⱥ", *letters]:
        root.execute("SELECT LOWER(CONCAT(%s COLLATE utf8mb4_0900_ai_ci, 'then'))", (letter,))
        if not root.fetchone()[0].endswith("then"):  # type: ignore[index]
            cut.append(letter)
    assert cut == ["Ⱥ"], "the first shows that it is seen"


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
