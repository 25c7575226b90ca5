"""The schemas and examples of openapi.yaml agree with the contract, and the examples with actual answers."""

import json
from unicodedata import normalize

import pytest
from jsonschema import Draft202012Validator

from service.person import (
    OFFICIAL,
    Dialect,
    Person,
    new_id,
    parse_person,
)
from tests.support import contract as table
from tests.support.openapi import (
    API,
    CLIENT,
    DIALECTS,
    PARTS,
    REQUESTS,
    errors,
    examples,
    nodes,
    problems,
    problems_of_nginx,
    validator,
)


def test_every_example_of_an_error_is_an_actual_answer() -> None:
    kinds = {(error.status, error.title) for error in errors()} | {(405, "Method Not Allowed")}
    answers = [one.answer().json for one in REQUESTS if one.error and one.method != "head"]
    answers.append(CLIENT.simulate_delete("/pessoas").json)

    for problem in problems():
        assert (problem["status"], problem["title"]) in kinds
        assert problem in answers + problems_of_nginx()


@DIALECTS
def test_every_example_of_a_person_is_accepted_and_answered_by_the_example_of_its_name(dialect: Dialect) -> None:
    operation = API["paths"][dialect.people]["post"]
    answers = examples(operation["responses"]["201"]["content"]["application/json"])

    for name, person in examples(operation["requestBody"]["content"]["application/json"]).items():
        parse_person(person, dialect)
        answer = CLIENT.simulate_post(dialect.people, json=person)
        assert answer.status_code == 201
        if name in answers:
            assert {**answer.json, "id": ""} == {**answers.pop(name), "id": ""}
    assert not answers


def test_examples_fit_their_schemas() -> None:
    for node in nodes(API):
        if "schema" in node:
            for example in examples(node).values():
                validator(node["schema"]).validate(example)


@DIALECTS
@pytest.mark.parametrize(
    "row", table.WRONG_TYPE + table.WRONG_DATE_FORM + table.MISSING + table.BROKEN_RULE + table.VALID,
    ids=lambda row: row.name,
)  # fmt: skip
def test_the_schema_of_a_person_accepts_what_the_contract_accepts_and_nothing_else(
    dialect: Dialect, row: table.Row
) -> None:
    text = row.body.decode() if isinstance(row.body, bytes) else json.dumps(row.body, ensure_ascii=False)
    keys = dict(zip(OFFICIAL, dialect, strict=True))
    document = {keys.get(key, key): value for key, value in json.loads(normalize("NFC", text)).items()}
    schema = API["paths"][dialect.people]["post"]["requestBody"]["content"]["application/json"]["schema"]

    assert validator(schema).is_valid(document) == (row.status == 201)


def test_the_pattern_of_a_date_rejects_wrong_forms_without_a_format_checker() -> None:
    birth_date = Draft202012Validator(PARTS["schemas"]["BirthDate"])

    assert birth_date.is_valid("2000-10-01")
    for date in ("200-10-01", "20-10-01", *table.WRONG_DATES):
        assert not birth_date.is_valid(date)


@DIALECTS
def test_a_person_is_answered_with_exactly_the_id_and_the_four_fields(dialect: Dialect) -> None:
    schema = API["paths"][dialect.people + "/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    person = Person(new_id(), "ana", "Ana", "2000-01-01", None).document(dialect)

    assert validator(schema).is_valid(person)
    assert not validator(schema).is_valid({**person, "more": 1})
    for key in person:
        assert not validator(schema).is_valid({k: v for k, v in person.items() if k != key})
