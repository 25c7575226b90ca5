"""A person has an address of its own, which can be shared."""

import json

from tests.support.browser import Browser
from tests.support.people import create_person, new_nickname
from tests.support.polling import wait_until
from tests.support.stack import RunningStack


def created(stack: RunningStack, nickname: str) -> str:
    person = create_person(stack.wire, apelido=nickname, nome="Ana Lima", nascimento="0001-01-01", stack=[]).json()
    return str(person["id"])


def test_a_click_on_a_hit_shows_the_person_and_back_the_hits(browser: Browser, stack: RunningStack) -> None:
    nickname = new_nickname()
    identifier = created(stack, nickname)
    browser.open()
    browser.search(nickname)

    browser.click("#people a")
    wait_until(lambda: browser.focused() == "person")

    assert browser.text("#person h2") == "Ana Lima"
    assert browser.texts("#person dd")[:3] == [nickname, "Jan 1, 1", "none"]
    assert identifier in browser.texts("#person dd")
    assert browser.driver.title == "Ana Lima"

    browser.click("#person .back")
    wait_until(lambda: browser.texts("#people .nickname") == [nickname])
    assert browser.run("return document.activeElement.getAttribute('href')") == f"#id={identifier}"


def test_the_link_of_a_person_can_be_copied_and_opened(browser: Browser, stack: RunningStack) -> None:
    nickname = new_nickname()
    identifier = created(stack, nickname)
    browser.grant(["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.open(f"/#id={identifier}")

    browser.click("#person .share button")
    wait_until(lambda: browser.text("#person .share button") == "Copied")
    link = browser.driver.execute_async_script("navigator.clipboard.readText().then(arguments[arguments.length - 1])")

    assert link == f"{browser.address}/#id={identifier}"
    browser.open(link.removeprefix(browser.address))
    assert nickname in browser.texts("#person dd")


def test_a_search_for_an_id_shows_the_person(browser: Browser, stack: RunningStack) -> None:
    identifier = created(stack, new_nickname())
    browser.open()

    browser.search(f" {identifier.upper()}")

    assert identifier in browser.texts("#person dd")


def test_an_unknown_id_is_said(browser: Browser) -> None:
    for identifier in ("00000000-0000-7000-8000-000000000000", "nothing", "../users-count"):
        browser.open(f"/#id={identifier}")

        assert browser.text("#status") == "No person has this id."
        assert browser.all("#person *") == []


def test_the_json_of_a_person_is_one_link_away(browser: Browser, stack: RunningStack) -> None:
    identifier = created(stack, new_nickname())
    browser.open(f"/#id={identifier}")

    browser.find("#person p:last-child a").click()

    assert json.loads(browser.text("body"))["id"] == identifier
