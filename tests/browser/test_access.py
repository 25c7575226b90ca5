"""Everybody can use the page: by keyboard, by screen reader, in the dark, on a small screen."""

from collections.abc import Callable
from itertools import product

import pytest
from selenium.webdriver.common.keys import Keys

from tests.support.browser import LANGUAGES, NARROW, THEMES, WIDE, Browser
from tests.support.people import create_person, new_nickname
from tests.support.polling import wait_until
from tests.support.stack import RunningStack

# People who need much room: text without a place to break it.
LONG = {"nome": "W" * 100, "stack": ["m" * 32, "Node.js", "C#", "PostgreSQL", "JavaScript"]}


def nothing(browser: Browser, term: str) -> None:
    browser.open()


def hits(browser: Browser, term: str) -> None:
    browser.open(f"/#q={term}")
    assert browser.all("#people mark")


def no_hit(browser: Browser, term: str) -> None:
    browser.open("/#q=zzzzzzzz")


def one_person(browser: Browser, term: str) -> None:
    hits(browser, term)
    browser.click("#people a")
    wait_until(lambda: browser.focused() == "person")


def errors(browser: Browser, term: str) -> None:
    browser.open()
    browser.click("#new button")
    browser.set_offline(True)
    browser.search("a")


STATES: list[Callable[[Browser, str], None]] = [nothing, hits, no_hit, one_person, errors]


@pytest.fixture(scope="module")
def term(stack: RunningStack) -> str:
    """Return a term that two people match, one of whom needs much room."""
    common = new_nickname()[:16]
    create_person(stack.wire, apelido=f"{common}{'W' * 16}", **LONG)
    create_person(stack.wire, apelido=f"{common}-José", nome="José Roberto da Conceição", stack=["C#", "Node"])
    return common


@pytest.mark.parametrize("choices", list(product(LANGUAGES, THEMES, (WIDE, NARROW))), ids=str)
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_and_everything_fits(
    browser: Browser, term: str, state: Callable[[Browser, str], None], choices: tuple[str, str, tuple[int, int]]
) -> None:
    language, theme, size = choices
    browser.configure(language=language, theme=theme, size=size)

    state(browser, term)

    browser.screenshot(f"{state.__name__}-{language}-{theme}-{size[0]}")
    assert browser.violations() == []
    assert browser.cut_off() == []


def test_all_can_be_done_by_keyboard_alone(browser: Browser) -> None:
    nickname = new_nickname()
    browser.open()

    browser.press(Keys.TAB, Keys.ENTER)  # the link that skips to the search
    assert browser.focused() == "term"
    while browser.focused() != "nickname":
        browser.press(Keys.TAB)
    browser.press(nickname, Keys.TAB, "Ana Lima", Keys.TAB)
    browser.press("02292000")
    while browser.focused() != "skills":
        browser.press(Keys.TAB)
    browser.press("Go", Keys.ENTER, "SQL", Keys.TAB, Keys.ENTER)
    wait_until(lambda: browser.text("#outcome") == "Stored: Ana Lima")

    browser.press(Keys.TAB, Keys.ENTER)  # the link to the new person
    wait_until(lambda: browser.focused() == "person")
    assert nickname in browser.texts("#person dd")
    browser.press(Keys.TAB, Keys.ENTER)  # back
    wait_until(lambda: browser.focused() == "term")
    browser.press(nickname)
    wait_until(lambda: browser.texts("#people .nickname") == [nickname])
    while browser.driver.switch_to.active_element.text != "Ana Lima":
        browser.press(Keys.TAB)
    browser.press(Keys.ENTER)
    wait_until(lambda: browser.focused() == "person")


def test_what_changes_is_read_aloud(browser: Browser) -> None:
    browser.open()

    for place in ("#status", "#outcome"):
        assert browser.find(place).get_attribute("role") == "status"
