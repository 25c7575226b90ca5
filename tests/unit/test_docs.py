"""README.md says what exists, and nothing else."""

import dataclasses
import re
import shlex
from pathlib import Path
from typing import Any

import falcon.inspect
import pytest

from ops import ROOT
from ops.__main__ import parser
from service.app import create_app
from service.config import Config

README = (ROOT / "README.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, row by row, without its own heading."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert section, heading
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def subcommands() -> dict[str, Any]:
    (commands,) = (
        action for action in parser()._actions if hasattr(action, "choices") and isinstance(action.choices, dict)
    )
    return dict(commands.choices)


def options(command: Any) -> set[str]:
    return {option for action in command._actions for option in action.option_strings if option.startswith("--")} - {
        "--help"
    }


def test_every_setting_is_in_the_readme_with_its_default_and_the_other_way_round() -> None:
    defaults = {
        field.name.upper(): "" if field.default in ("", dataclasses.MISSING) else f"`{field.default}`"
        for field in dataclasses.fields(Config)
    }

    assert {row[0].strip("`"): row[1] for row in table("Configuration")} == defaults


def test_every_command_is_in_the_readme_and_the_other_way_round() -> None:
    named = [row[0].strip("`").removeprefix("./rinha ") for row in table("The commands")]

    assert sorted(named) == sorted(subcommands())


def test_every_option_of_a_command_is_in_the_readme_and_the_other_way_round() -> None:
    section = README[README.index("## The commands") : README.index("## The contract")]
    known = {option for command in subcommands().values() for option in options(command)}

    assert set(re.findall(r"(--[a-z]+)", section)) - {"--help"} == known


def test_every_command_line_of_the_readme_parses() -> None:
    for line in re.findall(r"^(?:\./rinha) (.*?)(?:  +#.*)?$", README, re.MULTILINE):
        assert parser().parse_args(shlex.split(line))


def test_every_route_is_in_the_readme_and_the_other_way_round() -> None:
    app = falcon.inspect.inspect_app(create_app(None))  # type: ignore[arg-type]
    routes = {re.sub(r"\{.*?\}", "{id}", route.path) for route in app.routes}
    named = set(re.findall(r"(?:GET|POST) (/[a-z{}/-]+)", README)) | set(
        re.findall(r"`(/(?:health/[a-z]+|openapi\.yaml))`", README)
    )

    assert named == routes


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\(([^):]+)\)", README))))
def test_every_link_to_a_file_leads_to_one(name: str) -> None:
    assert (ROOT / name).exists()


def test_every_folder_and_module_it_names_exists() -> None:
    for name in re.findall(r"`([a-z]+/(?:[a-z_.]+)?)`", README):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`([a-z]+\.py)`", README):
        assert list(ROOT.glob(f"*/{name}")), name


def test_every_dependency_has_a_reason_and_a_pin() -> None:
    reasons = [row[0].lower() for row in table("Dependencies")]
    wanted = [line for line in (ROOT / "requirements.in").read_text().lower().split() if line]
    pinned = re.findall(r"^([a-z]\S+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)

    assert sorted(reasons) == sorted(wanted) == sorted(pinned)


def test_the_messages_it_explains_are_said_somewhere() -> None:
    code = "".join(
        path.read_text() for directory in ("ops", "db") for path in Path(ROOT, directory).glob("**/*.[ps][yh]")
    )
    code += (ROOT / "rinha").read_text()

    for message, *_ in table("Troubleshooting"):
        for quoted in re.findall(r"`([^`]+)`", message):
            for piece in re.split(r"9999|…", quoted):
                assert piece.strip() in re.sub(r'"\s+f?"', "", code), piece


def test_every_test_and_fault_that_the_promises_name_exists() -> None:
    promises = (ROOT / "docs/reliability.md").read_text()
    paths = [
        path
        for name in ("faults", "abuse", "integration", "compose", "load", "support")
        for path in ROOT.glob(f"tests/{name}/*.py")
    ]
    code = "".join(path.read_text() for path in paths)
    rows = "".join(line for line in promises.splitlines() if line.startswith("|"))

    for name in re.findall(r"`(test_\w+)`", promises):
        assert f"def {name}(" in code, name
    for name in re.findall(r"`((?:tests/faults/)?\w+\.py)`", promises):
        assert Path(name).name in {path.name for path in paths} or (ROOT / name).exists(), name
    for name in re.findall(r'"([^"]+)"', rows.replace('"taken"', "")):
        assert f'"{name}": Fault(' in code, name


def test_the_version_is_the_same_everywhere() -> None:
    from service import __version__  # noqa: PLC0415

    assert f"version: {__version__}" in (ROOT / "openapi.yaml").read_text()
