"""The page searches as a person types, highlights hits, and never hides one."""

from collections.abc import Iterator

import pytest

from ops import ROOT
from tests.support.browser import Browser
from tests.support.people import create_person, new_nickname
from tests.support.polling import wait_until
from tests.support.stack import RunningStack


@pytest.fixture
def watched(browser: Browser) -> Iterator[Browser]:
    """Yield the browser at a page that remembers its searches, in Portuguese."""
    browser.configure(language="pt")
    with browser.watched_searches():
        browser.open()
        yield browser


def type_at_once(browser: Browser, *terms: str) -> None:
    """Change the search field to each of these terms, without a pause."""
    browser.run(
        """for (const term of arguments[0]) {
             document.getElementById("term").value = term;
             document.getElementById("term").dispatchEvent(new Event("input"));
           }""",
        terms,
    )


def searches(browser: Browser) -> list[str]:
    return [str(term) for term in browser.run("return window.searches.map((search) => search.term)")]


def test_a_person_is_found_as_the_fragment_is_typed(browser: Browser, stack: RunningStack) -> None:
    nickname = new_nickname()
    create_person(stack.wire, apelido=nickname, nome="João Cação", nascimento="1999-12-31", stack=["C#", "Go"])
    browser.open()

    browser.search(nickname[2:].upper())

    assert browser.text("#status") == "1 person found"
    assert browser.texts("#people h2") == ["João Cação"]
    assert browser.texts("#people .skills li") == ["C#", "Go"]
    assert browser.text("#people time") == "Dec 31, 1999"
    assert browser.texts("#people mark") == [nickname[2:]]
    assert browser.complaints() == []


def test_keys_in_quick_succession_make_one_search(watched: Browser) -> None:
    type_at_once(watched, "z", "zu", "zul", "zulm")
    watched.settle()

    assert searches(watched) == ["zulm"]


def test_a_new_search_gives_up_the_older_one(watched: Browser, stack: RunningStack) -> None:
    nickname = new_nickname()
    create_person(stack.wire, apelido=nickname)
    type_at_once(watched, "slow")
    wait_until(lambda: searches(watched) == ["slow"])

    watched.search(nickname)
    watched.run("window.release()")
    watched.settle()

    assert watched.run("return window.searches[0].signal.aborted")
    assert watched.texts("#people .nickname") == [nickname]


def test_an_empty_field_searches_nothing(watched: Browser) -> None:
    watched.search("a")
    watched.search("")

    assert "" not in searches(watched)
    assert watched.text("#status") == ""
    assert watched.all("#people li") == []


def test_a_term_that_nobody_has_is_said(browser: Browser) -> None:
    browser.open()

    browser.search("<b>no & body%")

    assert browser.text("#status") == "Nobody found"
    assert "“<b>no & body%”" in browser.text("#notice")


def test_fifty_people_are_called_fifty_or_more(browser: Browser, stack: RunningStack) -> None:
    for _ in range(51):
        create_person(stack.wire, nome="Quinquagésima Pessoa")
    browser.open()

    browser.search("quinquagesima")

    assert browser.text("#status") == "50 people or more; these are 50 of them"
    assert len(browser.all("#people > li")) == 50


@pytest.mark.parametrize(
    ("text", "term", "marked"),
    [
        ("José Roberto", "JOSE R", ["José R"]),
        ("Conceição", "cao", ["ção"]),
        ("aaaa", "aa", ["aa", "aa"]),
        ("Straße", "STRASSE", ["Straße"]),
        ("Straße", "s", ["S", "ß"]),
        ("Ａｎａ", "ana", ["Ａｎａ"]),
        ("a\u0301b\u0323", "ab", ["a\u0301b\u0323"]),
        ("👩‍💻 Lia", "lia", ["Lia"]),
        ("C++ (.*)", "(.*)", ["(.*)"]),
        ("<i>x</i>", "<i>", ["<i>"]),
        ("Ana", "zé", []),
        ("Ana", "\u0301", []),
        ("ひらがな", "ヒラガナ", []),  # the collation finds it, the highlighting does not
    ],
)
def test_hits_are_marked_and_the_text_stays_whole(browser: Browser, text: str, term: str, marked: list[str]) -> None:
    """The functions of the page run by themselves here, in the browser."""
    script = (ROOT / "page/page.js").read_text()
    functions = script[script.index("/** An element with") : script.index("// What is shown")]

    nodes = browser.run(
        functions + "return highlighted(...arguments).map((node) => [node.nodeName ?? '', node.textContent ?? node])",
        text,
        term,
    )

    assert "".join(piece for _, piece in nodes) == text
    assert [piece for name, piece in nodes if name == "MARK"] == marked


def test_a_hit_that_cannot_be_marked_is_shown(browser: Browser, stack: RunningStack) -> None:
    nickname = new_nickname()
    create_person(stack.wire, apelido=nickname, nome=f"ひらがな {nickname}")
    browser.open()

    browser.search(f"ヒラガナ {nickname}")

    assert browser.texts("#people h2") == [f"ひらがな {nickname}"]
    assert browser.texts("#people h2 mark") == []


def test_text_of_people_is_never_markup(browser: Browser, stack: RunningStack) -> None:
    nickname, name = new_nickname(), "<img src=x onerror=alert(1)>"
    create_person(stack.wire, apelido=nickname, nome=name, stack=["<b>"])
    browser.open()

    browser.search(nickname)

    assert browser.texts("#people h2") == [name]
    assert browser.texts("#people .skills li") == ["<b>"]
    assert browser.all("main img, main b") == []


def test_a_search_has_an_address(browser: Browser, stack: RunningStack) -> None:
    nickname = new_nickname()
    create_person(stack.wire, apelido=nickname)
    browser.open()
    browser.search(nickname)

    browser.open(browser.driver.current_url.removeprefix(browser.address))

    assert browser.texts("#people .nickname") == [nickname]


def test_without_an_answer_the_page_says_so_and_tries_again(browser: Browser) -> None:
    browser.open()
    browser.set_offline(True)

    browser.search("ana")
    assert browser.text("#status") == "The service did not answer. Is it running?"

    browser.set_offline(False)
    browser.click("#notice button")
    assert "found" in browser.text("#status")
