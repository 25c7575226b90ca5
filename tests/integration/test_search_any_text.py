"""A search is exact for any text: each character is tried, and random combinations of characters."""

import random
import re
import string
import unicodedata
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymysql.cursors import Cursor

from service.database import Database
from service.person import has_control_character
from service.search_key import Collation, canary_key, encode
from service.store import PeopleStore
from tests.support.mysql import fetch_row, fetch_rows, root_cursor
from tests.support.oracle import Oracle, plan_full_text, search_error
from tests.support.people import new_nickname, new_person
from tests.support.stack import RunningStack

# Next to each other these form words, end words, look like operators, compare equal or vanish.
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
def root(search_stack: RunningStack) -> Iterator[Cursor]:
    with root_cursor(search_stack) as cursor:
        yield cursor


@pytest.fixture(scope="module")
def collation(search_stack: RunningStack) -> Collation:
    return Collation(Database(search_stack.config))


CHARACTERS_OF_UNICODE = [chr(code) for code in range(32, 0x110000) if not 0xD800 <= code <= 0xDFFF]


@pytest.mark.long
def test_terms_and_documents_are_encoded_alike_whatever_the_neighbours(root: Cursor, collation: Collation) -> None:
    """Every character of Unicode is among its neighbours in order, and then among random ones, in each alphabet."""
    created = fetch_row(root, "SHOW CREATE TABLE pessoas")[1]
    column = dict(re.findall(r"`(\w+)` medium.*GENERATED ALWAYS AS \((.*)\) (?:STORED|VIRTUAL)", created))
    shuffled = random.Random(1).sample(CHARACTERS_OF_UNICODE, len(CHARACTERS_OF_UNICODE))
    for characters in (CHARACTERS_OF_UNICODE, shuffled):
        for start in range(0, len(characters), 100):
            text = "".join(characters[start : start + 100])
            alphabet = start // 100 % 41
            encoded = fetch_row(
                root,
                f"WITH people AS (SELECT %s apelido, NULL nome, NULL stack, %s marca), "
                f"weighted AS (SELECT {column['pesos']} pesos, marca FROM people) "
                f"SELECT {column['busca']} FROM weighted",
                (text, alphabet << 32 | start),
            )
            canary = canary_key(start) if start else ""
            assert encoded == (encode(collation.weights(text + "\n="), alphabet) + canary,)


def test_characters_that_compare_equal_have_the_same_weights(collation: Collation) -> None:
    assert collation.weights("joão JOÃO ⓙⓞⓐⓞ")[:4] == collation.weights("JOAO")
    assert collation.weights("①") == collation.weights("1")


@pytest.mark.parametrize(
    ("alphabet", "characters", "expected"),
    [
        (0, string.ascii_lowercase + string.digits + " \n", {"em", "fkw", "qz"}),
        (1, string.ascii_lowercase + string.digits + string.punctuation + " \n", {"b!", "h)"}),
    ],
)
def test_letters_digits_and_spaces_have_different_codes(
    collation: Collation, alphabet: int, characters: str, expected: set[str]
) -> None:
    """With other bits of the weights, frequent characters would share a code, and searches would be slow."""
    alike: dict[str, str] = defaultdict(str)
    for character in characters:
        alike[encode(collation.weights(character), alphabet)] += character
    assert {some for some in alike.values() if len(some) > 1} == expected


@pytest.mark.long
def test_each_code_is_a_letter_to_both_parsers_of_mysql_and_equal_to_no_other_code(root: Cursor) -> None:
    codes = [code for number in range(41) for code in sorted(set(encode(tuple(range(0x200)), number)))]
    codes += [canary_key(number)[-1] for number in range(64)]
    matching = "SELECT text FROM codes WHERE MATCH (text) AGAINST (%s IN BOOLEAN MODE)"
    root.execute("DROP TABLE IF EXISTS codes")
    root.execute("CREATE TABLE codes (text TEXT COLLATE utf8mb4_0900_bin NOT NULL, FULLTEXT (text) WITH PARSER ngram)")
    root.executemany("INSERT INTO codes VALUES (%s)", [(code * 3,) for code in codes])

    assert len(set(codes)) == len(codes) == 64 + 40 * 512 + 64
    for number, code in enumerate(codes):
        for expression in (f'+"{code * 3}"', f"+{code}*")[: 2 if number < 640 else 1]:
            for _ in range(100):  # a sync of so many n-grams hides some for milliseconds
                if found := fetch_rows(root, matching, (expression,)):
                    break
            assert found == ((code * 3,),)
    root.execute("DROP TABLE codes")


def test_a_person_whose_characters_have_many_weights_is_stored_and_found(search_store: PeopleStore) -> None:
    """One character may have 18 weights, and a request 16 KiB."""
    person = new_person(skills=["\ufdfa" * 32] * 160)
    search_store.add(person)

    assert person in search_store.search("\ufdfa" * 3)


@pytest.mark.parametrize(
    "skill",
    [
        pytest.param("\U0001f980\U0001f680" * 8, id="four bytes a code"),
        pytest.param("Go", id="a byte a code"),
        pytest.param("\ufdfa" * 4, id="six codes a byte"),
        pytest.param("\u00ad" * 32, id="no code"),
    ],
)
@pytest.mark.parametrize("place", ["before", "at", "after"])
def test_the_row_with_each_eight_thousandth_code_is_a_canary_row(
    search_store: PeopleStore, root: Cursor, skill: str, place: str
) -> None:
    first, second = new_person(skills=[skill] * 40), new_person(skills=[skill] * 40)
    search_store.add(first)
    ((codes,),) = fetch_rows(
        root, "SELECT CHAR_LENGTH(busca) - 3 * (marca & 0xFFFFFFFF > 0) FROM pessoas WHERE id = %s", (first.id,)
    )
    missing = {"before": 0, "at": codes, "after": codes + 1}[place]
    root.execute("UPDATE contagem SET letras = (letras DIV 8000 + 2) * 8000 - %s", (missing,))
    search_store.add(second)

    is_canary = fetch_row(root, "SELECT marca & 0xFFFFFFFF > 0 FROM pessoas WHERE id = %s", (second.id,))
    assert is_canary == (place == "at",)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Draw the fields of a person (end of the nickname, name, skills) and terms: parts of the fields, and others."""
    fields = draw(st.lists(FIELDS, min_size=2, max_size=5))
    joined = "\n".join(fields)
    terms = []
    for _ in range(4):
        start = draw(st.integers(0, len(joined) - 1))
        term = joined[start : start + draw(st.integers(1, 8))]
        change = draw(st.sampled_from(["none", "join", "case", "decompose", "other"]))
        if change == "other":
            term = draw(st.text(CHARACTERS, min_size=1, max_size=6))
        elif change == "join":
            term = term.replace("\n", "")  # across two fields, if there are two
        elif change == "case":
            term = term.swapcase()
        elif change == "decompose":
            term = unicodedata.normalize("NFD", term)
        terms.append(term.replace("\n", " ") or "a")
    return fields, terms


@pytest.fixture(scope="module")
def oracle(search_stack: RunningStack) -> Iterator[Oracle]:
    oracle = Oracle(search_stack)
    oracle.read_table()
    yield oracle
    oracle.close()


@pytest.mark.long
@pytest.mark.timeout(600)  # thousands of searches
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
def test_any_search_of_any_people_returns_what_the_oracle_returns(
    search_store: PeopleStore, oracle: Oracle, monkeypatch: pytest.MonkeyPatch, case: tuple[list[str], list[str]]
) -> None:
    fields, terms = case
    person = new_person(nickname=(new_nickname()[:8] + fields[0])[:32], name=fields[1], skills=fields[2:] or None)
    assert not has_control_character("".join(fields))
    search_store.add(person)
    oracle.add(person)

    for term in terms:
        assert search_error(search_store, oracle, term) is None
        with monkeypatch.context() as patch:
            patch.setattr("service.finder.plan_search", plan_full_text)
            assert search_error(search_store, oracle, term) is None


def test_people_are_found_after_the_index_was_optimised_or_rebuilt(
    search_store: PeopleStore, oracle: Oracle, root: Cursor
) -> None:
    for only_the_index in ("ON", "OFF"):
        person = new_person(name="Żółć gęślą")
        search_store.add(person)
        oracle.add(person)
        root.execute(f"SET GLOBAL innodb_optimize_fulltext_only = {only_the_index}")
        root.execute("OPTIMIZE TABLE pessoas")

        for term in (person.nickname, "Żół", "ęśl", "ą", "zz", "é", "😀"):
            assert search_error(search_store, oracle, term) is None
