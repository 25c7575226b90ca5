"""Search answers what the oracle answers: LIKE on each field by itself, under the search column's collation."""

import random
import unicodedata
from collections.abc import Callable, Iterator

import pymysql
import pytest
from pymysql.cursors import Cursor

from service.person import Person
from service.search import Sample, SearchPlan, plan_search
from service.search_key import ALPHABET_STARTS, Weights
from service.store import PeopleStore
from tests.support.people import nickname, somebody
from tests.support.stack import RunningStack

FRAGMENTS = [
    "a", "ab", "abc", "José", "jose", "JOSÉ", "Ana", "Ana-Maria", "O'Neil", "D'Ávila", "node", "Node.js", "C", "C#",
    "C++", "F#", ".NET", "R", "+node -php", "a_b", "100%", "%", "_", "\\", "\\\\", '"', "''", '"quoted"', "(x)", "~",
    "<b>", "*", "@", "ǀ", "ß", "ss", "İstanbul", "ΣΊΣΥΦΟΣ", "σίσυφος", "Москва", "москва", "東京都", "トウキョウ",
    "とうきょう", "한국어", "😀", "👩‍💻", "👍🏽", "e\u0301", "é", "n\u0303o", "não", "\u00a0", "\u200b", "x\u200by",
    "ﬁm", "Ａｂｃ", "①②③", "ªº", "½", "  ", "two words", "to be or not", "the", "and", "ǅ", "œuvre", "Æsir", "þorn",
    "ʹprime", "a\u0308\u0304", "ʼn", "Ⅷ", "㎏", "𝒳𝓎𝓏", "אבג", "ابج", "ไทย", "हिन्दी", "\u1e9e", "ſ", "K", "Å",
]  # fmt: skip


def begin_alphabet(root: Cursor, alphabet: int) -> None:
    """Let the people who are stored from now on have an alphabet, unless it is a later one already."""
    root.execute("UPDATE contagem SET letras = GREATEST(letras, %s)", (ALPHABET_STARTS[alphabet],))


@pytest.fixture(scope="module")
def people(shelf: PeopleStore, root: Cursor) -> list[Person]:
    """Store 600 people made of hostile fragments, the same at each run but for their nicknames' beginnings.

    They have six alphabets.
    """
    choose = random.Random(1)
    made = []
    for number in range(600):
        begin_alphabet(root, (0, 1, 2, 5, 17, 40)[number // 100])
        name = choose.choice(["", " ", "-", "."]).join(choose.choices(FRAGMENTS, k=choose.randint(1, 4)))[:60]
        skills = [skill[:32] for skill in choose.choices(FRAGMENTS, k=choose.randint(0, 4))] or None
        person = somebody(
            nickname=unicodedata.normalize("NFC", nickname()[:10] + choose.choice(FRAGMENTS))[:32],
            name=unicodedata.normalize("NFC", name),
            skills=skills and [unicodedata.normalize("NFC", skill) for skill in skills],
        )
        shelf.add(person)
        made.append(person)
    return made


@pytest.fixture(scope="module")
def oracle(library: RunningStack) -> "Oracle":
    return Oracle(library)


class Oracle:
    """Reads the whole table and asks MySQL of each field by itself whether it contains a term."""

    def __init__(self, library: RunningStack) -> None:
        config = library.config
        self._cursor = pymysql.connect(
            unix_socket=config.db_socket, user="root", database="rinha", charset="utf8mb4", autocommit=True,
            ssl_disabled=True,
        ).cursor()  # fmt: skip
        self._cursor.execute("CREATE TEMPORARY TABLE fields (id BINARY(16), field TEXT COLLATE utf8mb4_0900_ai_ci)")

    def read_table(self) -> None:
        self._cursor.execute("DELETE FROM fields")
        self._cursor.execute("SELECT id, apelido, nome, stack FROM pessoas")
        for identifier, nick, name, skills in self._cursor.fetchall():
            self._learn(identifier, nick, name, *(skills or "").split("\n"))

    def learn(self, person: Person) -> None:
        """Take one more person in, who has been stored."""
        self._learn(person.id, person.nickname, person.name, *(person.skills or ()))

    def _learn(self, identifier: bytes, *fields: str) -> None:
        self._cursor.executemany("INSERT INTO fields VALUES (%s, %s)", [(identifier, field) for field in fields])

    def matches(self, term: str) -> set[bytes]:
        pattern = "%" + "".join("\\" + c if c in "\\%_" else c for c in unicodedata.normalize("NFC", term)) + "%"
        self._cursor.execute("SELECT DISTINCT id FROM fields WHERE field LIKE %s", (pattern,))
        return {identifier for (identifier,) in self._cursor.fetchall()}


def terms(people: list[Person]) -> Iterator[str]:
    """Yield fragments, pieces of what is stored, pieces put together wrongly, and what nobody has."""
    choose = random.Random(2)
    yield from FRAGMENTS
    for fragment in FRAGMENTS:
        yield fragment.swapcase()
        yield fragment + choose.choice(FRAGMENTS)
    for person in people:
        text = choose.choice([person.nickname, person.name, *(person.skills or [])])
        start = choose.randrange(len(text))
        yield text[start : start + choose.randint(1, 20)]
    for person in people[:100]:
        yield person.nickname[-3:] + person.name[:3]  # only across two fields
        yield person.name[:5] + "zq"
    yield from ("a" * 200, "José " * 40, "東" * 129, "ab" * 100)


def check(shelf: PeopleStore, oracle: Oracle, term: str) -> str | None:
    """Return what is wrong with the answer to `term`, if anything is."""
    found = [person.id for person in shelf.search(term)]
    expected = oracle.matches(term)
    if len(found) != len(set(found)):
        return f"{term!r}: somebody twice"
    if not set(found) <= expected:
        return f"{term!r}: {len(set(found) - expected)} wrong"
    if len(found) != min(len(expected), 50):
        return f"{term!r}: {len(found)} of {len(expected)}"
    return None


Weigh = Callable[[str], Weights]
Planner = Callable[[str, Weigh, Sample], SearchPlan]


def by_full_text(term: str, weights_of: Weigh, sample: Sample) -> SearchPlan:
    """SearchPlan as for a large table: full text wherever it can help, however small the table."""
    planned = plan_search(term, weights_of, sample)
    return planned._replace(scan_first=False) if planned.ngrams else planned


def knowing_nothing(term: str, weights_of: Weigh, sample: Sample) -> SearchPlan:
    return by_full_text(term, weights_of, Sample())


def in_many_statements(term: str, weights_of: Weigh, sample: Sample) -> SearchPlan:
    """SearchPlan as for lists so long that each alphabet is asked for by itself."""
    return by_full_text(term, weights_of, sample)._replace(postings_per_row=1e6)


@pytest.mark.parametrize("planner", [plan_search, by_full_text, knowing_nothing, in_many_statements])
def test_search_finds_exactly_what_the_oracle_finds(
    shelf: PeopleStore, people: list[Person], oracle: Oracle, planner: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle.read_table()
    monkeypatch.setattr("service.finder.plan_search", planner)

    wrong = [fault for term in terms(people) if (fault := check(shelf, oracle, term))]

    assert wrong == []


class OfOneAlphabet(SearchPlan):
    def match_expression(self, alphabet: int) -> str:
        return super().match_expression(0)


BROKEN: dict[str, Planner] = {
    "words of the term as it is": lambda term, weights_of, sample: by_full_text(
        term, lambda text: tuple(map(ord, text)), sample
    ),
    "words of what begins a field": lambda term, weights_of, sample: by_full_text(
        term, lambda text: weights_of("\n" + text), sample
    ),
    "the words of the first alphabet only": lambda term, weights_of, sample: OfOneAlphabet(
        *by_full_text(term, weights_of, sample)
    ),
    "no LIKE": lambda term, weights_of, sample: by_full_text(term, weights_of, sample)._replace(pattern="%"),
    "LIKE with its wildcards": lambda term, weights_of, sample: by_full_text(term, weights_of, sample)._replace(
        pattern=f"%{term}%"
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_wrong_plan_would_be_seen(
    shelf: PeopleStore, people: list[Person], oracle: Oracle, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge judges: it finds what is missing, and what is too much."""
    oracle.read_table()
    monkeypatch.setattr("service.finder.plan_search", BROKEN[broken])

    assert any(check(shelf, oracle, term) for term in terms(people))


def test_at_most_fifty_are_found_and_fifty_where_there_are_more(shelf: PeopleStore) -> None:
    mark = nickname()
    for number in range(60):
        shelf.add(somebody(name=f"{mark} {number}"))
        assert len(shelf.search(mark)) == min(number + 1, 50)


def test_a_person_is_found_through_the_other_instance_at_once(library: RunningStack) -> None:
    from tests.support.client import post  # noqa: PLC0415

    for number in range(50):
        mark = nickname()
        writer, reader = library.instance(1 + number % 2), library.instance(2 - number % 2)
        before = int(reader.ask("GET", "/contagem-pessoas").body)
        created = post(writer, "/pessoas", {"apelido": mark, "nome": "Ana", "nascimento": "2000-01-01"})
        assert created.status == 201
        assert reader.ask("GET", created.headers["location"]).json() == created.json()
        assert reader.ask("GET", f"/pessoas?t={mark[4:]}").json() == [created.json()]
        assert int(reader.ask("GET", "/contagem-pessoas").body) == before + 1
