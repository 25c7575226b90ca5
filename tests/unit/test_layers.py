"""Imports point one way, within service/ and between the packages, and each library of service/ has its owners."""

import ast
import sys
from collections.abc import Iterator

import pytest

from ops import ROOT

# What each module of service/ may import of its own package, from the bottom up.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "metrics": set(),
    "config": set(),
    "logs": set(),
    "probe": set(),
    "backoff": set(),
    "signals": set(),
    "statements": set(),
    "document": {"errors"},
    "person": {"errors"},
    "database": {"config", "errors", "logs", "metrics"},
    "member": {"config", "database", "errors"},
    "cluster": {"config", "database", "errors", "member", "metrics"},
    "group_watch": {"config", "database", "errors", "member"},
    "search_key": {"database"},
    "search": {"search_key"},
    "gate": {"search_key"},
    "timed_reader": {"database", "errors"},
    "sampler": {"database", "errors", "search", "search_key"},
    "sync_guard": {"database", "gate", "metrics", "search", "search_key", "statements", "timed_reader"},
    "finder": {
        "database", "errors", "metrics", "person", "sampler", "search", "search_key", "statements", "sync_guard",
        "timed_reader",
    },
    "preconditions": {"database", "errors", "search"},
    "store": {
        "cluster", "config", "database", "errors", "finder", "metrics", "person", "preconditions", "search",
        "statements", "timed_reader",
    },
    "resources": {"document", "errors", "person", "store"},
    "app": {"document", "errors", "logs", "metrics", "person", "resources", "store"},
    "server": {"backoff", "signals"},
    "exposition": {"group_watch", "metrics"},
    "__main__": {"app", "config", "exposition", "group_watch", "logs", "metrics", "probe", "server", "store"},
}  # fmt: skip

# The modules of service/ that may import a library.
OWNERS: dict[str, set[str]] = {
    "pymysql": {"database", "member"},
    "dbutils": {"database"},
    "bjoern": {"server"},
    "falcon": {"app", "resources"},
    "ujson": {"document"},
    "prometheus_client": {"exposition"},
}

# The packages, from the bottom up: each may import from itself and from the packages before it in this list.
PACKAGES = (
    "service", "ops", "ops.system", "ops.stack", "ops.checks", "ops.watch", "bench", "ops.commands", "ops.__main__",
    "tests.support", "tests",
)  # fmt: skip
OWN = ("service", "ops", "bench", "tests")


def package_of(module: str) -> str:
    """Return the package of a module, or of a name in one: the longest of the list that it begins with."""
    return max((package for package in PACKAGES if f"{module}.".startswith(f"{package}.")), key=len)


SERVICE = sorted((ROOT / "service").glob("**/*.py"))
MODULES = {path.stem: ast.parse(path.read_text()) for path in SERVICE if path.stem != "__init__"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of each import of a module, within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def packages(tree: ast.AST) -> set[str]:
    """Return the top names of what a module imports."""
    return {name.partition(".")[0] for name in imported(tree)}


def environment_reads(tree: ast.AST) -> list[int]:
    """Return the lines that name the environment: os.environ, os.getenv and the like, or an import of them."""
    names = {"environ", "environb", "getenv", "getenvb"}
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names})
    ]


def test_the_table_above_has_every_module() -> None:
    assert set(MODULES) == set(MAY_IMPORT)
    assert not [path for path in SERVICE if path.parent != ROOT / "service"], "service/ has no directories"


def test_the_table_above_is_a_layering() -> None:
    """A module may import only modules before it in the table, so there is no cycle."""
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
    """Otherwise the test above would not find them."""
    for name in imported(MODULES[module]):
        assert not name.startswith(".")
        assert not (name + ".").startswith("service.") or name.split(".")[1] in MAY_IMPORT
    assert packages(MODULES[module]).isdisjoint({"importlib", "runpy", "pkgutil"})


@pytest.mark.parametrize("library", OWNERS)
def test_only_the_owners_of_a_library_import_it(library: str) -> None:
    assert {module for module, tree in MODULES.items() if library in packages(tree)} == OWNERS[library]


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_nothing_is_imported_but_the_standard_library_and_the_owned(module: str) -> None:
    others = packages(MODULES[module]) - set(sys.stdlib_module_names) - set(OWNERS) - {"service"}

    assert not others


def test_the_environment_is_read_in_one_place() -> None:
    assert [module for module, tree in MODULES.items() if environment_reads(tree)] == ["__main__"]


@pytest.mark.parametrize("place", range(len(PACKAGES)), ids=PACKAGES)
def test_a_package_imports_only_from_below(place: int) -> None:
    below = PACKAGES[: place + 1]
    for path in [path for directory in OWN for path in sorted((ROOT / directory).glob("**/*.py"))]:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if package_of(module) == PACKAGES[place]:
            own = {name for name in imported(ast.parse(path.read_text())) if name.split(".")[0] in OWN}
            assert {package_of(name) for name in own} <= set(below), module


def test_test_modules_import_helpers_from_tests_support_only() -> None:
    """A helper of several test modules lives in tests/support, never in a test module or a conftest."""
    for path in sorted((ROOT / "tests").glob("**/*.py")):
        imports = {name for name in imported(ast.parse(path.read_text())) if name.startswith((".", "tests."))}
        # The tests of the contract run on the containers too.
        reused = {"tests.contract.test_contract"} if path.parent.name == "compose" else set()
        assert {name for name in imports if not name.startswith("tests.support.")} <= reused, path


def test_every_helper_is_in_tests_support() -> None:
    """Test modules have names of the form test_*.py; pytest reads fixtures from conftest.py."""
    others = [
        path
        for path in (ROOT / "tests").glob("**/*.py")
        if path.parent != ROOT / "tests/support" and not path.name.startswith(("test_", "conftest", "__"))
    ]
    assert others == []


def test_every_module_belongs_to_a_package() -> None:
    for directory in OWN:
        assert list((ROOT / directory).glob("**/*.py")), directory


@pytest.mark.parametrize(
    "text",
    ["import service.store", "from service.store import PeopleStore", "from service import store",
     "def f():\n    from service import store", "if True:\n    import service.store as s"],
)  # fmt: skip
def test_every_form_of_import_is_found(text: str) -> None:
    assert [name.split(".")[:2] for name in imported(ast.parse(text))] == [["service", "store"]]


@pytest.mark.parametrize("text", ["os.environ['X']", "os.getenv('X')", "from os import environ", "x = os.environ.get"])
def test_every_form_of_reading_the_environment_is_found(text: str) -> None:
    assert environment_reads(ast.parse(text)) == [1]
