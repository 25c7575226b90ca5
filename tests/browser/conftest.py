"""The browser of these tests, at the stack that the tests share."""

from collections.abc import Iterator

import pytest

from tests.support.browser import Browser, running_browser
from tests.support.stack import RunningStack


@pytest.fixture(scope="session")
def chromium(stack: RunningStack) -> Iterator[Browser]:
    """Yield a browser that runs as long as the tests."""
    with running_browser(stack.port) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """Return the browser as it is for a person who has never seen the page: English, light, wide."""
    chromium.configure()
    return chromium
