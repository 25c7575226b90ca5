"""The files of the page keep their promises: small, complete in both languages, and without markup from people."""

import re

import pytest

from ops import ROOT
from ops.stack.nginx import PAGE, SWAGGER_UI, SWAGGER_UI_FILES
from service.search import LIMIT
from tests.support.documents import DOCUMENTS

HTML, SCRIPT, STYLE = ((PAGE / name).read_text() for name in ("index.html", "page.js", "page.css"))
LANGUAGES = ("pt", "en")


def texts(language: str) -> str:
    """Return the texts of a language, as they stand in the script."""
    found = re.search(rf"^  {language}: {{\n    locale.*?^  }},$", SCRIPT, re.MULTILINE | re.DOTALL)
    assert found
    return found[0]


def keys(language: str) -> list[str]:
    """Return the names of the texts of a language."""
    without_strings = re.sub(r'"[^"\n]*"|`[^`]*`', "", texts(language))
    return re.findall(r"(?:^    |, )(\w+): ", without_strings, re.MULTILINE)


def test_the_page_is_smaller_than_40_kilobytes() -> None:
    assert sum(len(text.encode()) for text in (HTML, SCRIPT, STYLE)) < 40_000


@pytest.mark.parametrize("name", ["index.html", "docs.html"])
def test_a_page_has_no_inline_script_style_or_handler(name: str) -> None:
    html = (PAGE / name).read_text()

    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
    assert re.findall(r"<script.*?>(.*?)</script>", html, re.DOTALL) == [""] * html.count("<script")


def test_nothing_comes_from_elsewhere() -> None:
    for path in PAGE.iterdir():
        addresses = re.findall(r"(?:https?:)?//[\w.]+\.\w+", re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.M))
        assert set(addresses) <= {"http://www.w3.org"}, path.name  # the name of SVG


def test_what_people_have_written_reaches_the_document_as_text_only() -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|eval\(|Function\(", SCRIPT)


def test_both_languages_have_the_same_texts_and_none_is_without_use() -> None:
    portuguese, english = (keys(language) for language in LANGUAGES)

    assert portuguese == english
    assert len(set(portuguese)) == len(portuguese)
    used = set(re.findall(r"texts\.(\w+)", SCRIPT)) | set(re.findall(r'data-(?:text|label)="(\w+)"', HTML))
    assert used == set(portuguese)


def test_the_text_in_the_html_is_the_portuguese_one() -> None:
    portuguese = dict(re.findall(r'(\w+): "([^"]*)"', texts("pt")))
    for key, text in re.findall(r'data-text="(\w+)"[^>]*>([^<]+)<', HTML):
        assert text == portuguese[key], key
    for label, key in re.findall(r'aria-label="([^"]+)" data-label="(\w+)"', HTML):
        assert label == portuguese[key], key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_of_a_field_that_a_form_can_cause_is_explained(language: str) -> None:
    section = DOCUMENTS["docs/api.md"].split("### Answers to a creation")[1].split("\n###")[0]
    details = re.findall(r"^\|.* \| 422 \| `(.+?)` \|$", section, re.MULTILINE)
    known = re.findall(r"\[/(.+?\$)/, ", texts(language))

    assert len(details) > 4
    for detail in details:
        assert any(re.search(pattern, detail) for pattern in known), detail


def test_the_page_knows_the_limit_of_an_answer() -> None:
    assert f"const LIMIT = {LIMIT};" in SCRIPT
    for language in LANGUAGES:
        assert re.search(rf'manyResults: "{LIMIT} ', texts(language))


def test_the_image_has_the_files_of_swagger_ui_that_up_links() -> None:
    containerfile = (ROOT / "Containerfile").read_text()

    assert f"cd /opt/page/{SWAGGER_UI} \\" in containerfile
    assert f"cp {' '.join(SWAGGER_UI_FILES)} /page" in containerfile
    assert "COPY --from=swagger-ui /page /usr/share/rinha/page" in containerfile
