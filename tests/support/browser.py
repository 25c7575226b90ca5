"""A headless Chromium for the tests: pages in a language, a theme and a size, and what a person sees and does there."""

import shutil
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from ops import ROOT
from tests.support.polling import wait_until

SCREENSHOTS = ROOT / ".rinha/browser"
WIDE = (1280, 900)
NARROW = (320, 800)
LANGUAGES = {"pt": "pt-BR", "en": "en-US"}
THEMES = ("light", "dark")

# Remembers each search of the page. A search for "slow" goes out when the test calls `release()`.
_WATCH_SEARCHES = """
(() => {
  const original = window.fetch;
  const gate = new Promise((resolve) => { window.release = resolve; });
  window.searches = [];
  window.fetch = async (path, options = {}) => {
    const term = new URL(path, location).searchParams.get("t");
    if (term === null) return original(path, options);
    window.searches.push({ term, signal: options.signal });
    if (term === "slow") await gate;
    return original(path, options);
  };
})();
"""
# The page's state of work: false while an answer is expected.
_IS_SETTLED = """
return document.readyState === "complete"
  && !document.querySelector(".waiting, [data-state=loading], [aria-disabled=true]");
"""

_CUT_OFF = """
return [...document.querySelectorAll("body *:not(pre *)")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .map((element) => element.outerHTML.slice(0, 200));
"""


class Browser:
    """A browser at the port of a stack."""

    def __init__(self, driver: webdriver.Chrome, port: int) -> None:
        self.driver = driver
        self.address = f"http://localhost:{port}"

    def configure(
        self, *, language: str = "en", theme: str = "light", size: tuple[int, int] = WIDE, offline: bool = False
    ) -> None:
        """Set what a person has chosen for all pages, and forget what pages have stored."""
        width, height = size
        agent = self._cdp("Browser.getVersion")["userAgent"]
        self._cdp("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=LANGUAGES[language])
        # Without motion, an element stands still when the test clicks on it.
        media = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in media.items()]
        self._cdp("Emulation.setEmulatedMedia", features=features)
        self._cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._cdp("Storage.clearDataForOrigin", origin=self.address, storageTypes="all")
        self.set_offline(offline)

    def set_offline(self, offline: bool) -> None:
        """Cut or restore the network of the browser."""
        self._cdp("Network.enable")
        self._cdp(
            "Network.emulateNetworkConditions", offline=offline, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    @contextmanager
    def watched_searches(self) -> Iterator[None]:
        """Let pages that are opened in the context remember their searches."""
        script = self._cdp("Page.addScriptToEvaluateOnNewDocument", source=_WATCH_SEARCHES)["identifier"]
        try:
            yield
        finally:
            self._cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script)

    def open(self, path: str = "/") -> None:
        """Open a page anew, and wait until it shows what was asked for."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")  # forgets
        self.driver.get(self.address + path)
        self.settle()

    def settle(self) -> None:
        """Wait until no answer is expected."""
        wait_until(lambda: self.run(_IS_SETTLED), describe=lambda: self.text("body"))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; return its result."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        """Return the first element."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """Return all elements."""
        elements: list[WebElement] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return elements

    def text(self, selector: str) -> str:
        """Return the visible text of an element."""
        return str(self.find(selector).text)

    def texts(self, selector: str) -> list[str]:
        """Return the visible texts of all elements."""
        return [element.text for element in self.all(selector)]

    def click(self, selector: str) -> None:
        """Click on an element, and wait for the answer."""
        self.find(selector).click()
        self.settle()

    def search(self, term: str) -> None:
        """Type a term in place of the last one, and wait for the answer."""
        field = self.find("#term")
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(Keys.DELETE)
        field.send_keys(term)
        self.settle()

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def fill(self, **fields: str) -> None:
        """Set the fields of the form for a new person, by their ids."""
        for name, value in fields.items():
            self.run("document.getElementById(arguments[0]).value = arguments[1]", name.replace("_", "-"), value)

    def focused(self) -> str:
        """Return the id of the element with the focus."""
        return str(self.run("return document.activeElement.id"))

    def complaints(self) -> list[str]:
        """Return what the browser has written to its console, such as refusals by the Content-Security-Policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def violations(self) -> list[str]:
        """Return what axe finds wrong with the page for people who hear it, or see it badly."""
        self.run(_axe())
        results = self.driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
        return [f"{one['id']}: {node['html']}" for one in results["violations"] for node in one["nodes"]]

    def cut_off(self) -> list[str]:
        """Return the elements that reach beyond the window, except those that a person can scroll."""
        elements: list[str] = self.run(_CUT_OFF)
        return elements

    def screenshot(self, name: str) -> None:
        """Keep a picture of the whole page."""
        height = self.run("return document.documentElement.scrollHeight")
        picture = self._cdp(
            "Page.captureScreenshot",
            captureBeyondViewport=True,
            clip={"x": 0, "y": 0, "width": self.run("return innerWidth"), "height": height, "scale": 1},
        )
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (SCREENSHOTS / f"{name}.png").write_bytes(b64decode(picture["data"]))

    def grant(self, permissions: Sequence[str]) -> None:
        """Allow pages what the browser would ask a person for."""
        self._cdp("Browser.grantPermissions", origin=self.address, permissions=list(permissions))

    def _cdp(self, command: str, **parameters: Any) -> dict[str, Any]:
        result: dict[str, Any] = self.driver.execute_cdp_cmd(command, parameters)
        return result


@contextmanager
def running_browser(port: int) -> Iterator[Browser]:
    """Run a browser; fail without one, because a test of the page is never left out in silence."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        pytest.fail("Chromium or its driver is missing; Debian: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0] or ""
    # Root has no sandbox, and containers have a small /dev/shm. The language decides the order of a date's keys.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--lang=en-US", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    try:
        yield Browser(driver, port)
    finally:
        driver.quit()


def _axe() -> str:
    package = find_spec("axe_playwright_python")
    assert package
    assert package.submodule_search_locations
    return Path(package.submodule_search_locations[0], "axe.min.js").read_text()
