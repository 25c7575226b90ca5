"""nginx serves the page and the API browser, with strict policies; all other paths keep the errors of the API."""

import pytest

from ops.stack.nginx import PAGE
from tests.support.contract import check_problem
from tests.support.stack import RunningStack

ADDRESSES = {
    "/": ("text/html", "index.html"),
    "/docs": ("text/html", "docs.html"),
    "/docs/": ("text/html", "docs.html"),
    "/page/page.css": ("text/css", "page.css"),
    "/page/page.js": ("text/javascript", "page.js"),
    "/page/icon.svg": ("image/svg+xml", "icon.svg"),
}


@pytest.mark.parametrize(("path", "served"), ADDRESSES.items())
def test_a_file_of_the_page_is_served_as_it_stands(stack: RunningStack, path: str, served: tuple[str, str]) -> None:
    content_type, name = served

    answer = stack.wire.request("GET", path)

    assert (answer.status, answer.headers["content-type"]) == (200, content_type)
    assert answer.body == (PAGE / name).read_bytes()
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["swagger-ui-bundle.js", "swagger-ui.css"])
def test_the_files_of_swagger_ui_are_served(stack: RunningStack, name: str) -> None:
    answer = stack.wire.request("GET", f"/page/{name}")

    assert answer.status == 200
    assert len(answer.body) == int(answer.headers["content-length"]) > 100_000


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_loads_nothing_from_elsewhere_and_no_inline_script_or_style(stack: RunningStack, path: str) -> None:
    policy = stack.wire.request("GET", path).headers["content-security-policy"]
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))

    assert directives["default-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
    assert {sources for name, sources in directives.items() if name.endswith("-src")} <= {
        "'none'", "'self'", "'self' data:"
    }  # fmt: skip
    assert "unsafe" not in policy


def test_no_text_can_become_markup_of_the_page(stack: RunningStack) -> None:
    policy = stack.wire.request("GET", "/").headers["content-security-policy"]

    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy


def test_a_browser_keeps_a_file_and_asks_whether_it_is_current(stack: RunningStack) -> None:
    first = stack.wire.request("GET", "/page/page.js").headers

    again = stack.wire.request("GET", "/page/page.js", headers={"If-None-Match": first["etag"]})

    assert first["cache-control"] == "no-cache"
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/", "/docs", "/page/page.js"])
def test_the_methods_of_a_page(stack: RunningStack, path: str) -> None:
    get, head = stack.wire.request("GET", path), stack.wire.request("HEAD", path)
    options = stack.wire.request("OPTIONS", path)

    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(get.body)))
    assert (options.status, options.headers["allow"]) == (200, "GET, HEAD, OPTIONS")
    assert options.headers["x-request-id"]
    for method in ("POST", "PUT", "DELETE", "BREW"):
        answer = stack.wire.request(method, path, b"{}")
        check_problem(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["/page/nothing", "/page/nothing.html", "/page/nothing.js", "/page/page.js/x"])
def test_an_unknown_file_is_404_as_every_unknown_path(stack: RunningStack, path: str) -> None:
    check_problem(stack.wire.request("GET", path), 404)
