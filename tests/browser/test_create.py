"""The form creates people, and shows each error at its field."""

import pytest

from tests.support.browser import Browser
from tests.support.people import create_person, new_nickname
from tests.support.polling import wait_until
from tests.support.stack import RunningStack

VALID = {"fullname": "Ana Conceição", "birth_date": "1985-09-23", "skills": "C#\n Node \n\n"}
# Each error that a form can cause: what is typed, the field at fault, and what is said in both languages.
ERRORS: list[tuple[dict[str, str], str, str, str]] = [
    ({"nickname": ""}, "nickname", "Fill in this field.", "Preencha este campo."),
    ({"nickname": "x" * 33}, "nickname", "It is longer than 32 characters.", "Passa de 32 caracteres."),
    ({"nickname": "taken"}, "nickname", "Another person has this nickname.", "Outra pessoa já tem este apelido."),
    ({"fullname": ""}, "fullname", "Fill in this field.", "Preencha este campo."),
    ({"fullname": "é" * 101}, "fullname", "It is longer than 100 characters.", "Passa de 100 caracteres."),
    ({"fullname": "\x7f"}, "fullname", "It has a control character.", "Tem um caractere de controle."),
    ({"birth_date": ""}, "birth-date", "Fill in this field.", "Preencha este campo."),
    ({"skills": "Go\n" + "x" * 33}, "skills", "It is longer than 32 characters.", "Passa de 32 caracteres."),
]


def count(browser: Browser) -> int:
    return int(browser.text("#count strong").replace(",", "").replace(".", ""))


def test_a_person_is_created_found_and_counted(browser: Browser, stack: RunningStack) -> None:
    nickname = new_nickname()
    browser.open()
    before = count(browser)

    browser.fill(nickname=nickname, **VALID)
    browser.click("#new button")

    assert browser.text("#outcome") == "Stored: Ana Conceição"
    wait_until(lambda: count(browser) == before + 1)
    assert browser.run("return document.getElementById('nickname').value") == ""
    browser.search(nickname)
    assert browser.texts("#people .nickname") == [nickname]
    (found,) = stack.wire.request("GET", f"/pessoas?t={nickname}").json()
    assert {**found, "id": ""} == {
        "id": "", "apelido": nickname, "nome": "Ana Conceição", "nascimento": "1985-09-23", "stack": ["C#", "Node"]
    }  # fmt: skip


def test_no_skills_are_null(browser: Browser, stack: RunningStack) -> None:
    nickname = new_nickname()
    browser.open()

    browser.fill(nickname=nickname, **{**VALID, "skills": " \n"})
    browser.click("#new button")

    assert [one["stack"] for one in stack.wire.request("GET", f"/pessoas?t={nickname}").json()] == [None]


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_said_at_its_field(
    browser: Browser, stack: RunningStack, language: str, error: tuple[dict[str, str], str, str, str]
) -> None:
    wrong, field, english, portuguese = error
    taken, sent = new_nickname(), {"nickname": new_nickname(), **VALID, **wrong}
    create_person(stack.wire, apelido=taken)
    browser.configure(language=language)
    browser.open()

    browser.fill(**{name: taken if value == "taken" else value for name, value in sent.items()})
    browser.click("#new button")

    said = english if language == "en" else portuguese
    assert [text for text in browser.texts("#new .error") if text] == [said]
    assert browser.focused() == field
    (invalid,) = browser.all("[aria-invalid=true]")
    assert invalid.get_attribute("id") == field
    described = str(invalid.get_attribute("aria-describedby")).split()
    assert said in [browser.text(f"#{identifier}") for identifier in described]


def test_the_error_goes_when_the_person_is_created(browser: Browser) -> None:
    browser.open()
    browser.fill(nickname="", **VALID)
    browser.click("#new button")

    browser.fill(nickname=new_nickname())
    browser.click("#new button")

    assert "".join(browser.texts("#new .error")) == ""
    assert browser.all("[aria-invalid=true]") == []


def test_an_unknown_outcome_is_said_and_keeps_what_was_typed(browser: Browser) -> None:
    nickname = new_nickname()
    browser.open()
    browser.fill(nickname=nickname, **VALID)
    browser.set_offline(True)

    browser.click("#new button")
    assert browser.text("#outcome").startswith("It is unknown whether the person was stored.")

    browser.set_offline(False)
    browser.click("#new button")
    assert browser.text("#outcome") == "Stored: Ana Conceição"
