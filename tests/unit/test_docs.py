"""The documents name what exists, and all of it."""

import dataclasses
import re
import shlex
from pathlib import Path
from typing import Any

import falcon.inspect
import pytest

from ops import ROOT
from ops.__main__ import parser
from service import __version__
from service.app import create_app
from service.config import Config
from tests.faults.test_kills import FAULTS

README = (ROOT / "README.md").read_text()
PORTUGUESE = (ROOT / "README.pt-BR.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
API = (ROOT / "docs/api.md").read_text()
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]}


def section(page: str, heading: str) -> str:
    """Return the text under a heading, up to the next heading of the same or a higher level."""
    found = re.search(rf"^(##+) {heading}$(.*?)(?=^##? |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[2]


def table(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, row by row, without the row of column names."""
    lines = [line for line in section(page, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def commands(page: str) -> list[str]:
    """Return the lines of the blocks of commands."""
    blocks = re.findall(r"^```sh$(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.strip().splitlines()]


def subcommands() -> dict[str, Any]:
    """Return the parser of each command."""
    (commands,) = (action.choices for action in parser()._actions if isinstance(action.choices, dict))
    return dict(commands)


def options(command: Any) -> set[str]:
    """Return the options of a command, without --help."""
    return {option for action in command._actions for option in action.option_strings if option.startswith("--")} - {
        "--help"
    }


def test_the_page_for_operators_lists_every_setting_with_its_default_and_no_other() -> None:
    defaults = {
        field.name.upper(): "" if field.default in ("", dataclasses.MISSING) else f"`{field.default}`"
        for field in dataclasses.fields(Config)
    }

    assert {row[0].strip("`"): row[1] for row in table(OPERATIONS, "Settings of the service")} == defaults


def test_the_page_for_operators_lists_every_command_and_no_other() -> None:
    named = [row[0].strip("`").removeprefix("./rinha ").split()[0] for row in table(OPERATIONS, "Commands")]

    assert sorted(named) == sorted(subcommands())


def test_the_page_for_operators_lists_every_option_of_a_command_and_no_other() -> None:
    listed = {
        (command.strip("` "), option)
        for row in table(OPERATIONS, "Options")
        for option in re.findall(r"--[a-z]+", row[0])
        for command in row[1].split(",")
    }

    assert listed == {(name, option) for name, command in subcommands().items() for option in options(command)}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_of_a_page_parses(page: str) -> None:
    for line in commands(PAGES[page]):
        if line.startswith("./rinha ") and not line.startswith("./rinha test"):
            command = re.split(r" #| \|| > | < |\\$", line)[0].removeprefix("./rinha ")
            if not re.search(r"[$…]|ID|TERM", command):
                assert parser().parse_args(shlex.split(command)), line


def test_both_readmes_have_the_same_commands() -> None:
    assert commands(README) == commands(PORTUGUESE)


def test_the_readmes_and_the_page_of_results_are_short() -> None:
    assert len(README.splitlines()) <= 150
    assert len(PORTUGUESE.splitlines()) <= 150
    assert len(PAGES["docs/performance.md"].splitlines()) <= 80


def test_the_page_of_the_api_names_every_route_and_no_other() -> None:
    app = falcon.inspect.inspect_app(create_app(None))  # type: ignore[arg-type]
    routes = {re.sub(r"/\{.*?\}", "", route.path) for route in app.routes}
    named = set(re.findall(r"(/(?:health/[a-z]+|openapi\.yaml|pessoas|users-count|users|contagem-pessoas))\b", API))

    assert named == routes


@pytest.mark.parametrize(
    ("page", "link"),
    [(name, link) for name, text in PAGES.items() for link in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", text)],
)
def test_every_link_to_a_file_is_valid(page: str, link: str) -> None:
    assert ((ROOT / page).parent / link).exists()


@pytest.mark.parametrize("page", PAGES)
def test_every_directory_and_module_of_a_page_exists(page: str) -> None:
    if "decisions" in page:
        return  # they are of their date
    for name in re.findall(r"`((?:service|ops|bench|db|lb|tests|docs)/(?:[a-zA-Z_./-]+)?)`", PAGES[page]):
        assert (ROOT / name).exists(), name


def test_every_dependency_has_a_reason_and_a_pin() -> None:
    reasons = [row[0].lower() for row in table(README, "Dependencies")]
    wanted = [line for line in (ROOT / "requirements.in").read_text().lower().split() if line]
    pinned = re.findall(r"^([a-z]\S+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)

    assert sorted(reasons) == sorted(wanted) == sorted(pinned)


def test_every_message_of_the_troubleshooting_table_is_in_the_code() -> None:
    code = "".join(
        path.read_text()
        for directory in ("ops", "db", "service")
        for path in Path(ROOT, directory).glob("**/*.[ps][yh]")
    )
    code += (ROOT / "rinha").read_text() + (ROOT / "lb/nginx.conf").read_text()

    for message, *_ in table(OPERATIONS, "Troubleshooting"):
        for quoted in re.findall(r"`([^`]+)`", message):
            for piece in re.split(r"9999|…", quoted):
                assert piece.strip() in re.sub(r'"\s+f?"', "", code), piece


def test_every_test_and_fault_of_reliability_md_exists() -> None:
    promises = (ROOT / "docs/reliability.md").read_text()
    files = {path.name for path in (ROOT / "tests").glob("**/*.py")}
    rows = "".join(line for line in promises.splitlines() if line.startswith("|"))

    for name in re.findall(r"`((?:tests/faults/)?\w+\.py)`", promises):
        assert Path(name).name in files or (ROOT / name).exists(), name
    for name in re.findall(r'"([^"]+)"', rows.replace('"taken"', "")):
        assert name in FAULTS, name


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_every_test_of_a_page_exists(page: str) -> None:
    code = "".join(path.read_text() for path in (ROOT / "tests").glob("**/*.py"))

    for name in re.findall(r"`(test_\w+)`", (ROOT / "docs" / page).read_text()):
        assert f"def {name}(" in code, name


def test_the_version_is_the_same_everywhere() -> None:
    assert f"version: {__version__}" in (ROOT / "openapi.yaml").read_text()
