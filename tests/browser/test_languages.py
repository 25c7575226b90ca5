"""The page speaks Portuguese and English: as the browser does, or as was chosen by hand."""

import pytest

from tests.support.browser import Browser
from tests.support.people import create_person
from tests.support.stack import RunningStack

TITLES = {"pt": "Pessoas por qualquer trecho", "en": "People by any fragment"}


@pytest.mark.parametrize(("language", "other"), [("pt", "en"), ("en", "pt")])
def test_the_browsers_language_is_the_first_and_a_choice_by_hand_stays(
    browser: Browser, language: str, other: str
) -> None:
    browser.configure(language=language)
    browser.open()
    assert browser.text("h1") == TITLES[language]

    browser.click(f"[data-language={other}]")
    assert browser.text("h1") == TITLES[other]
    browser.open()

    assert browser.text("h1") == browser.driver.title == TITLES[other]
    assert str(browser.find("html").get_attribute("lang")).startswith(other)
    assert browser.find(f"[data-language={other}]").get_attribute("aria-pressed") == "true"


def test_a_change_of_the_language_keeps_what_is_shown(browser: Browser, stack: RunningStack) -> None:
    person = create_person(stack.wire, nascimento="2000-02-29").json()
    browser.open()
    browser.search(person["apelido"])
    browser.fill(nickname="")
    browser.click("#new button")

    browser.click("[data-language=pt]")

    assert browser.text("#status") == "1 pessoa encontrada"
    assert browser.text("#people time") == "29 de fev. de 2000"
    assert browser.text("#nickname-error") == "Preencha este campo."
    assert browser.text("[data-operation=search]") == "GET /pessoas?t=TRECHO"
