"""The documents say what exists, and nothing else. `tox -e docs` runs their commands."""

import dataclasses
import re
import shlex
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import falcon.inspect
import pytest

from ops import ROOT
from ops.__main__ import parser
from ops.stack.budget import CPU_SHARES, MEMORY_SHARES
from service import __version__
from service.app import create_app
from service.config import Config
from tests.support.board import SIGNS
from tests.support.documents import DOCUMENTS, Block, Change, blocks_of, changes_of, match_output, steps_of
from tests.support.faults import FAULTS
from tests.support.metric_signs import SIGNS as METRIC_SIGNS
from tests.support.metric_signs import Silence

README, PORTUGUESE, API, OPERATIONS = "README.md", "README.pt-BR.md", "docs/api.md", "docs/operations.md"
MAX_LINES = {README: 150, PORTUGUESE: 150, "docs/performance.md": 80, "SECURITY.md": 40}


def table(document: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading of a document, without the table's own heading."""
    section = re.search(rf"^##+ {heading}$(.*?)(?=^##|\Z)", DOCUMENTS[document], re.MULTILINE | re.DOTALL)
    assert section, f"{document} has no section {heading}"
    rows = re.search(r"(?:^\|.*\n)+", section[1], re.MULTILINE)
    assert rows, f"section {heading} of {document} has no table"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[0].splitlines()[2:]]


def subcommands() -> dict[str, Any]:
    (commands,) = (action.choices for action in parser()._actions if isinstance(action.choices, dict))
    return commands


def option_rows() -> Iterator[tuple[str, str, str]]:
    """Yield each command, option and default of the parser, in the form of the table of options."""
    for command, subparser in subcommands().items():
        for action in subparser._actions:
            if action.option_strings and "--help" not in action.option_strings:
                option = max(action.option_strings, key=len)
                described = re.search(r"\(default: ([^%)]+)\)", action.help)
                default = described[1] if described else action.default
                yield command, option, "" if action.nargs == 0 or default is None else str(default)


def headings(document: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", DOCUMENTS[document], flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("document", MAX_LINES)
def test_a_document_keeps_its_limit_of_lines(document: str) -> None:
    assert len(DOCUMENTS[document].splitlines()) <= MAX_LINES[document]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(document: str) -> None:
    for name, anchor in re.findall(r"\]\(([^):#]*)#?([^):]*)\)", DOCUMENTS[document]):
        target = (ROOT / document).parent / name if name else ROOT / document
        assert target.exists(), name
        if anchor:
            assert anchor in headings(str(target.resolve().relative_to(ROOT))), f"{name}#{anchor}"


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if "decisions" not in name])
def test_every_directory_and_module_that_is_named_exists(document: str) -> None:
    for name in re.findall(r"`((?:service|ops|bench|tests|db|lb|page|docs)/[\w./-]*)`", DOCUMENTS[document]):
        assert (ROOT / name).exists() or list(ROOT.glob(f"{name}.*")), name
    for name in re.findall(r"`([a-z_]+\.py)`", DOCUMENTS[document]):
        assert list(ROOT.glob(f"*/{name}")) or list(ROOT.glob(f"tests/*/{name}")), name


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_place_that_a_diff_changes_is_in_its_file_once(document: str) -> None:
    for change in changes_of(DOCUMENTS[document]):
        assert (ROOT / change.file).read_text().count(change.old) == 1, change


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_environment_of_tox_that_is_named_exists(document: str) -> None:
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    environments = {name for section in tox.sections() for name in re.findall(r"[a-z]+\d*", section.partition(":")[2])}

    for names in re.findall(r"tox (?:run )?-e ([\w,]+)", DOCUMENTS[document]):
        assert set(names.split(",")) <= environments, names


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_line_parses(document: str) -> None:
    lines = "\n".join(block.text for block in blocks_of(document, DOCUMENTS[document]))
    for line in re.findall(r"^(?:\$ )?\./rinha (.*?)(?: +#.*| [<>|].*)?$", lines, re.MULTILINE):
        if not line.startswith("test"):  # its arguments are pytest's
            assert parser().parse_args(shlex.split(line))


def test_both_readmes_have_the_same_commands_and_outputs() -> None:
    readme, portuguese = ([block._replace(document="", line=0) for block in blocks_of(name, DOCUMENTS[name])]
                          for name in (README, PORTUGUESE))  # fmt: skip

    assert readme
    assert readme == portuguese


@pytest.mark.parametrize(("english", "portuguese"), [("Limits", "Limites"), ("Results", "Resultados")])
def test_both_readmes_have_the_same_numbers(english: str, portuguese: str) -> None:
    translated = [
        [cell.replace("todas", "all").replace("contêineres", "containers") for cell in row]
        for row in table(PORTUGUESE, portuguese)
    ]

    assert translated == table(README, english)


def test_the_results_of_the_readme_are_those_of_performance_md() -> None:
    rows = {row[0]: row for row in table("docs/performance.md", "The contest's load")}

    for budget, *figures in table(README, "Results"):
        assert set(figures) <= set(rows[budget]), budget


def test_operations_md_lists_every_setting_with_its_default_and_no_other() -> None:
    defaults = {
        field.name.upper(): "" if field.default in ("", dataclasses.MISSING) else f"`{field.default}`"
        for field in dataclasses.fields(Config)
    }

    assert {row[0].strip("`"): row[1] for row in table(OPERATIONS, "Settings of the service")} == defaults


def test_operations_md_lists_every_command_and_no_other() -> None:
    named = [row[0].strip("`").split()[1] for row in table(OPERATIONS, "Commands")]

    assert sorted(named) == sorted(subcommands())


def test_operations_md_lists_every_option_of_each_command_with_its_default_and_no_other() -> None:
    named = [
        (command, option.strip("`").split()[0].rstrip("`,"), default.strip("`"))
        for option, commands, default, _ in table(OPERATIONS, "Options")
        for command in re.findall(r"`(\w+)`", commands)
    ]

    assert sorted(named) == sorted(option_rows())


def test_the_runbook_has_a_row_for_each_fault_that_is_recognised_on_the_board() -> None:
    rows = table(OPERATIONS, "Runbook")

    assert sorted(row[0] for row in rows) == sorted(SIGNS) == sorted(METRIC_SIGNS)
    assert set(FAULTS) <= set(SIGNS)
    for _, signs, *_ in rows:
        assert "`" in signs


def test_the_signs_of_the_runbook_are_texts_of_the_board() -> None:
    texts = " ".join((ROOT / "ops/watch/board.py").read_text().split())

    for _, signs, *_ in table(OPERATIONS, "Runbook"):
        for sign in re.findall(r"`([^`]+)`", signs):
            assert sign.removesuffix(" 1 s") in texts, sign


def test_the_metrics_of_the_runbook_are_those_that_the_fault_tests_see() -> None:
    for fault, _, metrics, *_ in table(OPERATIONS, "Runbook"):
        seen = {
            "up" if isinstance(sign, Silence) else re.findall(r"(?:http|db|rinha|nginx)_\w+", sign.series)[0]
            for sign in METRIC_SIGNS[fault]
        }
        assert set(re.findall(r"`(\w+)", metrics)) == seen, fault
        for sign in METRIC_SIGNS[fault]:
            if not isinstance(sign, Silence):
                assert all(value in metrics for value in re.findall(r"=(\w+)", sign.series)), sign


def test_operations_md_has_the_division_of_the_budget() -> None:
    shares = [(float(cpu.split()[0]), float(memory.split()[0])) for _, cpu, memory in
              table(OPERATIONS, "CPU and memory limits")]  # fmt: skip

    assert shares == [(round(100 * CPU_SHARES[name]), round(100 * MEMORY_SHARES[name])) for name in CPU_SHARES]


def test_every_message_of_the_troubleshooting_table_is_in_the_code() -> None:
    files = [ROOT / "rinha", ROOT / "lb/nginx.conf", ROOT / "db/start.sql", ROOT / "compose.yaml"]
    files += [path for name in ("service", "ops", "db") for path in (ROOT / name).glob("**/*.[ps][yh]")]
    # A message is one string: the code joins lines and inserts values.
    code = re.sub(r'"\s+f?"', "", "".join(path.read_text() for path in files))

    for message, *_ in table(OPERATIONS, "Troubleshooting"):
        for quoted in re.findall(r"`([^`]+)`", message.partition(" from ")[0]):
            for piece in re.split(r"9999|signal 9|…", quoted):
                assert piece.strip() in code, piece


@pytest.mark.parametrize("document", [README, PORTUGUESE, API])
def test_every_route_is_listed_and_no_other(document: str) -> None:
    app = falcon.inspect.inspect_app(create_app(None))  # type: ignore[arg-type]
    routes = {re.sub(r"\{.*?\}", "{id}", route.path) for route in app.routes}
    if document != API:
        routes = {route for route in routes if not re.match("/health/|/openapi", route)}

    assert set(re.findall(r"`(?:GET|POST) (/[a-z{}/.-]+)", DOCUMENTS[document])) == routes


def test_every_detail_of_an_error_in_api_md_is_in_the_code() -> None:
    code = "".join(path.read_text() for path in [*ROOT.glob("service/*.py"), ROOT / "lb/nginx.conf"])
    rows = table(API, "Answers to a creation") + table(API, "Statuses")

    for detail in [row[2].strip("`") for row in rows if "`" in row[2]]:
        words = re.sub(r"^(apelido|nome|nascimento|stack) |parameter t |\b(32|16384)\b", "\0", detail)
        for piece in words.split("\0"):
            assert piece in code, piece


@pytest.mark.parametrize(("document", "heading"), [(README, "Dependencies"), (PORTUGUESE, "Dependências")])
def test_every_dependency_has_a_reason_and_a_pin(document: str, heading: str) -> None:
    reasons = {name.lower(): reason for name, reason in table(document, heading)}
    wanted = [line for name in ("", "-page") for line in (ROOT / f"requirements{name}.in").read_text().lower().split()]
    pinned = [
        package
        for name in ("", "-page")
        for package in re.findall(r"^([a-z]\S+)==", (ROOT / f"requirements{name}.txt").read_text(), re.MULTILINE)
    ]

    assert sorted(reasons) == sorted(wanted) == sorted(pinned)
    assert all(reasons.values())


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.txt")), ids=lambda path: path.name)
def test_requirements_name_no_place_of_the_machine_that_made_them(path: Path) -> None:
    assert not re.search(r"^ *--(?!hash=sha256:)", path.read_text(), re.MULTILINE)


def test_every_test_module_and_fault_of_reliability_md_exists() -> None:
    promises = DOCUMENTS["docs/reliability.md"]
    rows = "".join(line for line in promises.splitlines() if line.startswith("|"))

    for name in re.findall(r"`((?:tests/faults/)?\w+\.py)`", promises):
        assert list((ROOT / "tests").glob(f"**/{Path(name).name}")) or (ROOT / name).exists(), name
    for name in re.findall(r'"([^"]+)"', rows.replace('"taken"', "")):
        assert name in FAULTS, name


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if "decisions" not in name])
def test_every_test_that_is_named_exists(document: str) -> None:
    code = "".join(path.read_text() for path in (ROOT / "tests").glob("**/*.py"))

    reasons = " ".join(block.reason for block in blocks_of(document, DOCUMENTS[document]))
    for name in re.findall(r"`(test_\w+)`", DOCUMENTS[document]) + re.findall(r"\btest_\w+", reasons):
        assert f"def {name}(" in code, name


def test_the_version_is_the_same_everywhere() -> None:
    assert f"version: {__version__}\n" in (ROOT / "openapi.yaml").read_text()
    assert f"\n## [{__version__}] - 20" in DOCUMENTS["CHANGELOG.md"]


NEW_ID, KNOWN_ID = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"
IDS = {KNOWN_ID: "22222222-2222-7222-8222-222222222222"}
DOCUMENT = """\
1. Text.

   <!-- output not compared: it has times -->
   ```console
   $ ./rinha up --detach \\
       --port 1
   started
   $ ./rinha count
   0
   ```

<!-- not run: needs Java -->
```sh
./rinha bench
```
"""


def test_a_diff_has_the_old_and_the_new_lines_of_each_place() -> None:
    diff = "  ```diff\n  +++ a.py\n  @@\n   one\n  -two\n  +2\n  +\n  @@\n  -x\n  ```\n"

    assert list(changes_of(diff)) == [Change("a.py", "one\ntwo\n", "one\n2\n\n"), Change("a.py", "x\n", "")]


def test_blocks_have_their_commands_outputs_and_restrictions() -> None:
    first, second = blocks_of("x.md", DOCUMENT)

    assert (first.line, first.mark, second.mark, second.reason) == (4, "output not compared", "not run", "needs Java")
    assert second.text == "./rinha bench\n"
    assert steps_of(first) == [("./rinha up --detach \\\n    --port 1", None), ("./rinha count", None)]
    assert steps_of(Block("x.md", 1, "console", "$ date\n$ id\n0\n")) == [("date", ""), ("id", "0")]


@pytest.mark.parametrize(
    ("shown", "printed", "is_equal"),
    [
        ("1 found", "1 found", True),
        ("1 found", "2 found", False),
        ("… MB free, 0 lost", "17 MB free, 0 lost", True),
        ("… MB free, 0 lost", "17 MB free, 1 lost", False),
        ("X-Request-ID: " + "0" * 32, "X-Request-ID: " + "a" * 32, True),
        ("Date: Sat, 28 Nov 2026\n1", "Date: Sun, 29 Nov 2026\n1", True),
        ("Date: Sat, 28 Nov 2026\n1", "Date: Sun, 29 Nov 2026\n2", False),
        (NEW_ID, "11111111-1111-7111-8111-111111111111", True),
        (f"{NEW_ID} {NEW_ID}", "11111111-1111-7111-8111-111111111111 33333333-3333-7333-8333-333333333333", False),
        (KNOWN_ID, "22222222-2222-7222-8222-222222222222", True),
        (KNOWN_ID, "11111111-1111-7111-8111-111111111111", False),
    ],
)
def test_an_output_may_differ_in_times_and_new_ids_only(shown: str, printed: str, is_equal: bool) -> None:
    assert (match_output(shown, printed, IDS) is not None) is is_equal


def test_new_ids_of_an_output_are_remembered() -> None:
    assert match_output(NEW_ID, "11111111-1111-7111-8111-111111111111", IDS) == {
        **IDS, NEW_ID: "11111111-1111-7111-8111-111111111111"
    }  # fmt: skip
