"""The layers of service/, held by reading its imports: they point one way, and each library has one owner."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.folder import ROOT

# What each module may import of its own package, from the bottom up.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "config": set(),
    "document": {"errors"},
    "person": {"errors"},
    "database": {"config", "errors"},
    "letters": {"database"},
    "search": {"letters"},
    "gate": {"letters"},
    "sampler": {"database", "errors", "letters", "search"},
    "finder": {"database", "errors", "gate", "letters", "person", "sampler", "search"},
    "store": {"config", "database", "errors", "finder", "person", "search"},
    "resources": {"document", "errors", "person", "store"},
    "app": {"errors", "person", "resources", "store"},
    "server": set(),
    "__main__": {"app", "config", "person", "server", "store"},
}

# Who may know a library, where not everybody may.
OWNERS: dict[str, set[str]] = {
    "pymysql": {"database"},
    "dbutils": {"database"},
    "bjoern": {"server"},
    "falcon": {"app", "resources"},
    "ujson": {"document", "resources"},
}

MOST_MODULES = 15
MOST_LINES = 190

SERVICE = sorted((ROOT / "service").glob("**/*.py"))
MODULES = {path.stem: ast.parse(path.read_text()) for path in SERVICE if path.stem != "__init__"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of whatever is imported anywhere in a module, within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def packages(tree: ast.AST) -> set[str]:
    """Return the top names of what a module imports."""
    return {name.partition(".")[0] for name in imported(tree)}


def environment_reads(tree: ast.AST) -> list[int]:
    """Return the lines that name the environment: os.environ, os.getenv and their like, or an import of them."""
    names = {"environ", "environb", "getenv", "getenvb"}
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names})
    ]


def test_the_table_above_has_every_module() -> None:
    assert set(MODULES) == set(MAY_IMPORT)
    assert not [path for path in SERVICE if path.parent != ROOT / "service"], "service/ has no folders"


def test_the_table_above_is_a_layering() -> None:
    """Nobody may import what stands below: so there is no cycle."""
    below: set[str] = set()
    for module, allowed in MAY_IMPORT.items():
        assert allowed <= below
        below.add(module)


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_a_module_imports_only_from_below(module: str) -> None:
    own = {name.split(".")[1] for name in imported(MODULES[module]) if name.startswith("service.")}

    assert own <= MAY_IMPORT[module]


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_imports_are_absolute_and_by_module(module: str) -> None:
    """Or the test above would not see them."""
    for name in imported(MODULES[module]):
        assert not name.startswith(".")
        assert not (name + ".").startswith("service.") or name.split(".")[1] in MAY_IMPORT
    assert packages(MODULES[module]).isdisjoint({"importlib", "runpy", "pkgutil"})


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_known_to_its_owners_only(library: str) -> None:
    assert {module for module, tree in MODULES.items() if library in packages(tree)} == OWNERS[library]


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_nothing_is_imported_but_the_standard_library_and_the_owned(module: str) -> None:
    others = packages(MODULES[module]) - set(sys.stdlib_module_names) - set(OWNERS) - {"service"}

    assert not others


def test_the_environment_is_read_in_one_place() -> None:
    assert [module for module, tree in MODULES.items() if environment_reads(tree)] == ["__main__"]


def test_the_service_stays_small() -> None:
    assert len(MODULES) <= MOST_MODULES
    lines = {path.name: len(path.read_text().splitlines()) for path in SERVICE}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize("package", ["db", "lb", "ops"])
def test_the_service_and_its_surroundings_do_not_import_each_other(package: str) -> None:
    """They meet in the environment and on sockets only: each can be replaced alone."""
    paths: list[Path] = sorted((ROOT / package).glob("**/*.py"))
    assert paths
    assert [path.name for path in paths if "service" in packages(ast.parse(path.read_text()))] == []
    assert [path.name for path in SERVICE if package in packages(ast.parse(path.read_text()))] == []


@pytest.mark.parametrize(
    "text",
    ["import service.store", "from service.store import PeopleStore", "from service import store",
     "def f():\n    from service import store", "if True:\n    import service.store as s"],
)  # fmt: skip
def test_every_form_of_import_is_seen(text: str) -> None:
    """The judge judges."""
    assert [name.split(".")[:2] for name in imported(ast.parse(text))] == [["service", "store"]]


@pytest.mark.parametrize("text", ["os.environ['X']", "os.getenv('X')", "from os import environ", "x = os.environ.get"])
def test_every_form_of_reading_the_environment_is_seen(text: str) -> None:
    assert environment_reads(ast.parse(text)) == [1]
