"""The API browser shows the contract, and sends requests to the running service."""

import json
from collections.abc import Callable

from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.support.browser import Browser
from tests.support.people import create_person, new_document, new_nickname
from tests.support.polling import wait_until
from tests.support.stack import RunningStack


def operation(browser: Browser, name: str) -> WebElement:
    """Open the API browser at an operation, and unfold it."""
    browser.open("/docs")
    selector = f"[id$=-{name}]"
    wait_until(lambda: browser.all(selector))
    browser.find(f"{selector} button").click()
    wait_until(lambda: browser.all(f"{selector} .execute"))
    return browser.find(selector)


def answer(shown: WebElement) -> tuple[str, str]:
    """Send the request of an operation; return the status and the body that are shown."""
    shown.find_element(By.CSS_SELECTOR, ".execute").click()

    def cells(selector: str) -> Callable[[], list[WebElement]]:
        return lambda: shown.find_elements(By.CSS_SELECTOR, f".live-responses-table tbody {selector}")

    wait_until(cells(".microlight"))
    return cells(".response-col_status")()[0].text, cells(".microlight")()[0].text


def test_the_whole_contract_is_shown(browser: Browser) -> None:
    browser.open("/docs")
    wait_until(lambda: browser.all(".opblock"))

    described = browser.texts(".opblock-summary-path")

    assert {"/pessoas", "/pessoas/{id}", "/contagem-pessoas", "/users", "/users/{id}", "/users-count"} <= {
        path.replace("\u200b", "") for path in described
    }  # fmt: skip
    assert browser.complaints() == []
    browser.screenshot("docs")


def test_a_search_is_sent_to_the_running_service(browser: Browser, stack: RunningStack) -> None:
    person = create_person(stack.wire).json()
    shown = operation(browser, "searchPessoas")
    field = shown.find_element(By.CSS_SELECTOR, "tr[data-param-name=t] input")
    field.clear()
    field.send_keys(person["apelido"])

    status, body = answer(shown)

    assert status.startswith("200")
    assert json.loads(body) == [person]
    assert browser.complaints() == []


def test_a_person_is_created_in_the_running_service(browser: Browser, stack: RunningStack) -> None:
    nickname = new_nickname()
    shown = operation(browser, "createPessoa")
    body = shown.find_element(By.CSS_SELECTOR, "textarea.body-param__text")
    body.clear()
    body.send_keys(json.dumps(new_document(apelido=nickname)))

    status, answered = answer(shown)

    assert status.startswith("201")
    assert [json.loads(answered)] == stack.wire.request("GET", f"/pessoas?t={nickname}").json()
    assert browser.complaints() == []


def test_the_api_browser_follows_the_theme(browser: Browser) -> None:
    browser.configure(theme="dark")
    browser.open("/docs")
    wait_until(lambda: browser.all(".opblock"))

    assert browser.find("html").get_attribute("class") == "dark-mode"
    browser.screenshot("docs-dark")
