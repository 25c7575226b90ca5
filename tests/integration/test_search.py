"""A search returns exactly what the oracle returns: LIKE on each field, under the collation of the search column."""

import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymysql.cursors import Cursor

from service.database import Database
from service.finder import Finder
from service.person import Person
from service.search import SearchPlan, plan_search
from service.search_key import ALPHABET_STARTS, newest_alphabet
from service.store import PeopleStore
from service.timed_reader import Step
from tests.support.mysql import fetch_row, fetch_rows, root_cursor
from tests.support.oracle import (
    Oracle,
    Planner,
    plan_full_text,
    plan_many_statements,
    plan_without_sample,
    search_error,
)
from tests.support.people import create_person, new_nickname, new_person
from tests.support.stack import RunningStack, running_stack

OTHER_PLANNERS = (plan_full_text, plan_without_sample, plan_many_statements)
FRAGMENTS = [
    "a", "ab", "abc", "José", "jose", "JOSÉ", "Ana", "Ana-Maria", "O'Neil", "D'Ávila", "node", "Node.js", "C", "C#",
    "C++", "F#", ".NET", "R", "+node -php", "a_b", "100%", "%", "_", "\\", "\\\\", '"', "''", '"quoted"', "(x)", "~",
    "<b>", "*", "@", "ǀ", "ß", "ss", "İstanbul", "ΣΊΣΥΦΟΣ", "σίσυφος", "Москва", "москва", "東京都", "トウキョウ",
    "とうきょう", "한국어", "😀", "👩‍💻", "👍🏽", "e\u0301", "é", "n\u0303o", "não", "\u00a0", "\u200b", "x\u200by",
    "ﬁm", "Ａｂｃ", "①②③", "ªº", "½", "  ", "two words", "to be or not", "the", "and", "ǅ", "œuvre", "Æsir", "þorn",
    "ʹprime", "a\u0308\u0304", "ʼn", "Ⅷ", "㎏", "𝒳𝓎𝓏", "אבג", "ابج", "ไทย", "हिन्दी", "\u1e9e", "ſ", "K", "Å",
]  # fmt: skip


def begin_alphabet(root: Cursor, alphabet: int) -> None:
    """Give the next people an alphabet, unless it is a later one already."""
    root.execute("UPDATE contagem SET letras = GREATEST(letras, %s)", (ALPHABET_STARTS[alphabet],))


@pytest.fixture(scope="module")
def people(search_stack: RunningStack, search_store: PeopleStore) -> list[Person]:
    """Store 600 people made of hostile fragments, in six alphabets.

    They are the same in each run, except for the beginnings of their nicknames.
    """
    rng = random.Random(1)
    made = []
    with root_cursor(search_stack) as root:
        for number in range(600):
            begin_alphabet(root, (0, 1, 2, 5, 17, 40)[number // 100])
            name = rng.choice(["", " ", "-", "."]).join(rng.choices(FRAGMENTS, k=rng.randint(1, 4)))[:60]
            skills = [skill[:32] for skill in rng.choices(FRAGMENTS, k=rng.randint(0, 4))] or None
            person = new_person(
                nickname=unicodedata.normalize("NFC", new_nickname()[:10] + rng.choice(FRAGMENTS))[:32],
                name=unicodedata.normalize("NFC", name),
                skills=skills and [unicodedata.normalize("NFC", skill) for skill in skills],
            )
            search_store.add(person)
            made.append(person)
    return made


@pytest.fixture(scope="module")
def oracle(search_stack: RunningStack) -> Iterator[Oracle]:
    oracle = Oracle(search_stack)
    yield oracle
    oracle.close()


def terms(people: list[Person]) -> Iterator[str]:
    """Yield fragments, parts of stored fields, parts put together wrongly, and terms without a match."""
    rng = random.Random(2)
    yield from FRAGMENTS
    for fragment in FRAGMENTS:
        yield fragment.swapcase()
        yield fragment + rng.choice(FRAGMENTS)
    for person in people:
        text = rng.choice([person.nickname, person.name, *(person.skills or [])])
        start = rng.randrange(len(text))
        yield text[start : start + rng.randint(1, 20)]
    for person in people[:100]:
        yield person.nickname[-3:] + person.name[:3]  # only across two fields
        yield person.name[:5] + "zq"
    yield from ("a" * 200, "José " * 40, "東" * 129, "ab" * 100)


@pytest.mark.parametrize(
    "planner",
    [plan_search, *(pytest.param(one, marks=pytest.mark.long) for one in OTHER_PLANNERS)],
)
def test_search_finds_exactly_what_the_oracle_finds(
    search_store: PeopleStore,
    people: list[Person],
    oracle: Oracle,
    planner: Planner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    oracle.read_table()
    monkeypatch.setattr("service.finder.plan_search", planner)

    wrong = [error for term in terms(people) if (error := search_error(search_store, oracle, term))]

    assert wrong == []


class OfOneAlphabet(SearchPlan):
    def match_expression(self, alphabet: int) -> str:
        return super().match_expression(0)


BROKEN: dict[str, Planner] = {
    "n-grams of the term's characters": lambda term, weights_of, sample: plan_full_text(
        term, lambda text: tuple(map(ord, text)), sample
    ),
    "n-grams at the beginning of a field": lambda term, weights_of, sample: plan_full_text(
        term, lambda text: weights_of("\n" + text), sample
    ),
    "n-grams of the first alphabet only": lambda term, weights_of, sample: OfOneAlphabet(
        *plan_full_text(term, weights_of, sample)
    ),
    "no LIKE": lambda term, weights_of, sample: plan_full_text(term, weights_of, sample)._replace(pattern="%"),
    "LIKE with wildcards": lambda term, weights_of, sample: plan_full_text(term, weights_of, sample)._replace(
        pattern=f"%{term}%"
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_the_oracle_rejects_the_results_of_a_wrong_plan(
    search_store: PeopleStore, people: list[Person], oracle: Oracle, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds the missing people, and the people without the term."""
    oracle.read_table()
    monkeypatch.setattr("service.finder.plan_search", BROKEN[broken])

    assert any(search_error(search_store, oracle, term) for term in terms(people))


def test_canary_rows_with_the_term_in_one_of_two_alphabets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search reads each alphabet by itself then, and still finds the people of both."""
    monkeypatch.setattr("service.finder.plan_search", plan_full_text)
    with running_stack(tmp_path) as stack:
        database = Database(stack.config)
        store, term, steps = PeopleStore(stack.config), new_nickname(), list[Step]()
        with root_cursor(stack) as root:
            store.add(new_person(name=term))
            root.execute("UPDATE contagem SET letras = (letras DIV 8000 + 1) * 8000 - 1")
            canary = new_person(name=f"{term} as well")
            store.add(canary)
            ((codes,),) = fetch_rows(root, "SELECT letras FROM contagem")
            begin_alphabet(root, newest_alphabet(int(codes)) + 1)
            store.add(new_person(name=f"{term} too"))
            is_canary = fetch_row(root, "SELECT marca & 0xFFFFFFFF > 0 FROM pessoas WHERE id = %s", (canary.id,))

        found = Finder(database).find(term, steps.append)

    assert is_canary == (1,)
    assert len(found) == 3
    assert len(steps) >= 3, "no alphabet was read by itself"


def test_a_search_returns_at_most_fifty_people(search_store: PeopleStore) -> None:
    mark = new_nickname()
    for number in range(60):
        search_store.add(new_person(name=f"{mark} {number}"))
        assert len(search_store.search(mark)) == min(number + 1, 50)


def test_a_person_is_found_through_the_other_instance_at_once(search_stack: RunningStack) -> None:
    for number in range(50):
        mark = new_nickname()
        writer, reader = search_stack.instance(1 + number % 2), search_stack.instance(2 - number % 2)
        before = int(reader.request("GET", "/contagem-pessoas").body)
        created = create_person(writer, apelido=mark)
        assert created.status == 201
        assert reader.request("GET", created.headers["location"]).json() == created.json()
        assert reader.request("GET", f"/pessoas?t={mark[4:]}").json() == [created.json()]
        assert int(reader.request("GET", "/contagem-pessoas").body) == before + 1
