"""The load generator's people have the contest's distributions and the status that the contract gives them."""

import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from bench import people
from bench.people import Payload

COUNT = 100_000


@pytest.fixture(scope="module")
def sample() -> list[Payload]:
    """Return the first people of a seed."""
    return list(people.payloads(1, COUNT))


def check_frequency(sample: list[Payload], per_100_000: int, test: Callable[[dict[str, Any]], bool]) -> None:
    """Check that a count is within 4.5 standard deviations of the contest's; the seed is fixed."""
    found = sum(test(payload.document) for payload in sample)
    assert abs(found - per_100_000) < 4.5 * per_100_000**0.5 + 1


@pytest.mark.parametrize(
    ("defect", "per_100_000", "test"),
    [
        ("month 13", 7_614, lambda d: d["nascimento"][4:8] == "-13-"),
        ("a garbage date", 1_004, lambda d: d["nascimento"] in ('"12-12-2000"', "null", "10", '"?!?!?"')),
        ("a nickname of 35", 996, lambda d: len(d["apelido"]) == 35),
        ("a name of 120", 1_016, lambda d: len(d["nome"]) == 120),
        ("a stack element of 40", 339, lambda d: d["stack"] == ["1" * 40]),
        ("a string as stack", 341, lambda d: d["stack"] == "string"),
        ("a number as stack", 338, lambda d: d["stack"] == 1),
        ("a null stack", 7_100, lambda d: d["stack"] is None),
        ("a blank name", 20, lambda d: not d["nome"].strip()),
    ],
)
def test_defects_are_as_frequent_as_in_the_contest(
    sample: list[Payload], defect: str, per_100_000: int, test: Callable[[dict[str, Any]], bool]
) -> None:
    check_frequency(sample, per_100_000, test)


def test_as_many_are_valid_as_in_the_contest(sample: list[Payload]) -> None:
    statuses = Counter(payload.status for payload in sample)
    assert set(statuses) == {201, 400, 422}
    assert 88_296 - 200 < statuses[201] < 88_626 + 200


def test_as_many_nicknames_are_taken_as_in_the_contest(sample: list[Payload]) -> None:
    nicknames = [payload.document["apelido"] for payload in sample]
    assert COUNT - len(set(nicknames)) == pytest.approx(4_370, abs=150)
    assert COUNT - len({nickname.lower() for nickname in nicknames}) == pytest.approx(5_803, abs=150)


def test_the_maximum_of_a_contest_run_is_the_contests(sample: list[Payload]) -> None:
    assert 46_297 - 100 < people.maximum(sample[:54_635]) < 46_723 + 100


def test_lengths_are_uniform(sample: list[Payload]) -> None:
    nicknames = Counter(len(p.document["apelido"]) for p in sample)
    assert set(nicknames) == {*range(1, 33), 35}
    names = Counter(len(p.document["nome"]) for p in sample)
    assert set(names) == {*range(1, 101), 120}
    stacks = Counter(len(s) for p in sample if isinstance(s := p.document["stack"], list) and s != ["1" * 40])
    assert set(stacks) == set(range(1, 27))
    for counts, ends in ((nicknames, (1, 32)), (names, (1, 100)), (stacks, (1, 26))):
        even = sum(counts.values()) / (ends[1] - ends[0] + 1)
        assert all(counts[end] == pytest.approx(even, rel=0.15) for end in ends)


def test_stacks_have_24_names_and_one_twice_as_often_as_the_others(sample: list[Payload]) -> None:
    names = Counter(n for p in sample if isinstance(s := p.document["stack"], list) for n in s if n != "1" * 40)
    assert len(names) == 24
    (first, most), (_, second) = names.most_common(2)
    assert first == "C#"
    assert most / second == pytest.approx(2, rel=0.05)


def test_bodies_are_ascii_json_that_a_tab_separated_file_can_hold(sample: list[Payload]) -> None:
    for payload in sample[:5_000]:
        assert payload.body.isascii()
        assert payload.body.startswith("{")  # a leading quote would start a quoted cell in Gatling's feeder
        assert not set("\t\r\n") & set(payload.body)
        assert json.loads(payload.body) == payload.document
        assert list(payload.document) == ["apelido", "nome", "nascimento", "stack"]


def expected_status(document: dict[str, Any]) -> int:
    """Return the status that the contract gives to a document of the kinds that the contest sends."""
    stack = document["stack"]
    if not (stack is None or isinstance(stack, list)):
        return 400
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", document["nascimento"]):
        return 400
    try:
        date.fromisoformat(document["nascimento"])
    except ValueError:
        return 422
    lengths = [(document["apelido"], 32), (document["nome"], 100), *((name, 32) for name in stack or ())]
    return 201 if all(1 <= len(value) <= most for value, most in lengths) else 422


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (201, {}),
        (201, {"stack": None}),
        (201, {"nascimento": "2000-02-29"}),
        (201, {"nome": "   "}),
        (422, {"nascimento": "2000-13-01"}),
        (422, {"nascimento": "2001-02-29"}),
        (422, {"apelido": "a" * 35}),
        (422, {"nome": "a" * 120}),
        (422, {"stack": ["1" * 40]}),
        (422, {"apelido": "a" * 35, "nascimento": "2000-13-01"}),
        (400, {"stack": "string"}),
        (400, {"stack": 1}),
        (400, {"nascimento": '"12-12-2000"'}),
        (400, {"nascimento": "null"}),
        (400, {"nascimento": "10"}),
        (400, {"nascimento": '"?!?!?"'}),
        (400, {"apelido": "a" * 35, "stack": 1}),
        (400, {"nome": "a" * 120, "nascimento": "null"}),
    ],
)
def test_the_expected_statuses_of_this_file_follow_the_contract(status: int, changes: dict[str, Any]) -> None:
    person = {"apelido": "ana", "nome": "Ana", "nascimento": "2000-01-01", "stack": ["Go"]}
    assert expected_status(person | changes) == status


def test_every_status_by_construction_is_the_one_of_the_contract(sample: list[Payload]) -> None:
    assert [payload.status for payload in sample] == [expected_status(payload.document) for payload in sample]


def test_the_same_seed_gives_the_same_people_and_more_of_them_begin_alike(sample: list[Payload]) -> None:
    assert list(people.payloads(1, 500)) == sample[:500]
    assert [p.body for p in people.payloads(2, 500)] != [p.body for p in sample[:500]]
    assert list(people.terms(1, 50)) == list(islice(people.terms(1, 5_000), 50))


def test_people_are_the_same_on_every_machine_and_python() -> None:
    first = next(people.payloads(1, 1))
    assert first.status == 201
    assert first.document["apelido"] == "yXlig"
    assert first.document["nascimento"] == "1991-02-21"


def person(nickname: str, status: int = 201) -> Payload:
    return Payload("", {"apelido": nickname}, status)


@pytest.mark.parametrize(
    ("rows", "payloads"),
    [
        (0, []),
        (1, [person("ana")]),
        (1, [person("ana"), person("ana")]),
        (2, [person("ana"), person("Ana")]),
        (2, [person("ana"), person("ana ")]),
        (1, [person("ana", 422), person("ana"), person("bia", 400)]),
        (0, [person("ana", 422)]),
    ],
)
def test_the_maximum_counts_distinct_nicknames_of_valid_people(rows: int, payloads: list[Payload]) -> None:
    assert people.maximum(payloads) == rows


def test_english_renames_the_fields_and_nothing_else() -> None:
    document = {"apelido": "ana", "nome": "Ana", "nascimento": "2000-01-01", "stack": ["Go"]}
    english = {"nickname": "ana", "fullname": "Ana", "dob": "2000-01-01", "stack": ["Go"]}
    assert people.english(document) == english


def test_terms_are_like_the_contests() -> None:
    terms = list(people.terms(1, 5_000))
    assert len(set(terms)) == pytest.approx(4_939, abs=25)
    assert all(1 <= len(term) <= 50 and term == term.strip() for term in terms)
    assert set("".join(terms)) <= {*people.LETTERS, " "}
    lengths = Counter(map(len, terms))
    assert sum(count for length, count in lengths.items() if length >= 4) == pytest.approx(4_686, abs=70)
    assert all(lengths[length] == pytest.approx(100, abs=45) for length in range(1, 51))


@pytest.mark.parametrize("dialect", ["official", "english"])
def test_the_files_hold_a_header_and_one_row_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    options = f"--seed 3 --people 40 --terms 20 --dialect {dialect} --out {tmp_path / 'data'}"
    monkeypatch.setattr("sys.argv", ["people", *options.split()])
    people.main()
    header, *rows = (tmp_path / "data" / "people.tsv").read_text().splitlines()
    documents = [payload.document for payload in people.payloads(3, 40)]
    expected = documents if dialect == "official" else [people.english(document) for document in documents]
    assert header == "payload"
    assert [json.loads(row) for row in rows] == expected
    assert (tmp_path / "data" / "terms.tsv").read_text().splitlines() == ["t", *people.terms(3, 20)]
