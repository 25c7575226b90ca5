"""What the promises rest on is verified: a MySQL without the settings, or an index made without them, is not ready.

Each situation is a row: how a server or its table departs from db/, and the words of the probe.
"""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ops import ROOT, environment
from ops.commands.seed import load
from ops.console import ignore_progress
from ops.stack.mysql import MySQLServer
from service.preconditions import SETTINGS
from service.probe import why_not_ready
from service.store import PeopleStore
from tests.support.commands import check_refused, failed_checks, findings_of
from tests.support.contract import check_unavailable
from tests.support.mysql import root_cursor
from tests.support.people import store_people
from tests.support.polling import wait_until
from tests.support.stack import SMALL, RunningStack, free_port


class Situation(NamedTuple):
    """Statements of MySQL's root that change a server, those that change it back, and what the probe says."""

    change: str
    back: str
    words: str


SITUATIONS = (
    Situation(
        "SET GLOBAL innodb_flush_log_at_trx_commit = 2", "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
        "innodb_flush_log_at_trx_commit is 2, not 1",
    ),
    Situation(
        "SET GLOBAL innodb_flush_log_at_trx_commit = 0", "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
        "innodb_flush_log_at_trx_commit is 0, not 1",
    ),
    Situation(
        "SET GLOBAL innodb_ft_enable_stopword = ON", "SET GLOBAL innodb_ft_enable_stopword = OFF",
        "innodb_ft_enable_stopword is 1, not 0",
    ),
    Situation(
        "SET GLOBAL collation_server = utf8mb4_general_ci", "SET GLOBAL collation_server = utf8mb4_0900_ai_ci",
        "collation_server is utf8mb4_general_ci, not utf8mb4_0900_ai_ci",
    ),
    Situation(
        "SET GLOBAL max_connections = 3", "SET GLOBAL max_connections = 100",
        "max_connections is 3 for 4 workers of this instance",
    ),
    Situation(
        "SET GLOBAL max_user_connections = 3", "SET GLOBAL max_user_connections = 16",
        "max_user_connections is 3 for 4 workers of this instance",
    ),
    Situation(
        "ALTER TABLE pessoas COLLATE utf8mb4_general_ci", "ALTER TABLE pessoas COLLATE utf8mb4_0900_ai_ci",
        "schema 6, utf8mb4_general_ci",
    ),
    Situation(
        "ALTER TABLE pessoas COMMENT 'schema 5'", "ALTER TABLE pessoas COMMENT 'schema 6'", "has schema 5",
    ),
)  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.change)
def test_an_instance_is_not_ready_while_mysql_departs_from_what_the_promises_rest_on(
    operator_stack: RunningStack, situation: Situation
) -> None:
    """One worker answers all probes, with one connection: while max_connections is small, there may be no other."""
    worker = f"unix:{operator_stack.data}/run/api1.1.sock"
    assert why_not_ready(worker) == ""
    with root_cursor(operator_stack) as cursor:
        try:
            cursor.execute(situation.change)
            reason = why_not_ready(worker)
        finally:
            cursor.execute(situation.back)

    assert situation.words in reason
    assert why_not_ready(worker) == ""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout whose files all users may write, as after a clone with umask 000 or on a mount of Windows."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("ops", "service", "bench", "lb", "db", "page"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "target"))
    for name in ("requirements.txt", "openapi.yaml"):
        shutil.copy(ROOT / name, root)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    return root


@pytest.fixture
def stack(checkout: Path, tmp_path: Path) -> Iterator[RunningStack]:
    """Yield a stack of that checkout which does not run yet."""
    stack = RunningStack(free_port(), tmp_path, checkout)
    stack.copy_new_database()
    yield stack
    stack.rinha("down")


@pytest.mark.parametrize("umask", [0o000, *(pytest.param(one, marks=pytest.mark.long) for one in (0o077, 0o777))])
def test_a_stack_has_its_settings_whatever_the_umask_is(stack: RunningStack, umask: int) -> None:
    started = stack.rinha("up", "--detach", *SMALL, umask=umask)

    assert started.returncode == 0, started.stdout + started.stderr
    assert stack.instance(1).request("GET", "/health/ready").status == 200
    assert failed_checks(stack) == []
    files = [path for path in stack.data.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in files if path.stat().st_mode & 0o022]


# A line of my.cnf as an edited file has it. None leaves the line out, so that MySQL's default applies.
LINES = (
    ("ngram_token_size", None), ("ngram_token_size", "2"), ("innodb_ft_enable_stopword", None),
    ("innodb_flush_log_at_trx_commit", "2"), ("innodb_doublewrite", "OFF"),
    ("innodb_doublewrite", "DETECT_ONLY"), ("collation_server", "utf8mb4_general_ci"),
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("name", "value"), LINES)
def test_mysql_serves_nobody_without_a_setting(stack: RunningStack, name: str, value: str | None) -> None:
    file = stack.root / "db/my.cnf"
    text = file.read_text()
    line = f"{name} = {value}\n" if value else ""
    file.write_text(re.sub(rf"^{name} .*\n", line, text, flags=re.MULTILINE))
    try:
        started = stack.rinha("up", *SMALL)
    finally:
        file.write_text(text)

    check_refused(started, "MySQL does not have the settings of db/my.cnf", "mysql.log")
    assert "settings of db/my.cnf have no effect" in (stack.data / "log/mysql.log").read_text()


def test_the_statements_at_each_start_and_the_probe_know_the_same_settings() -> None:
    statements = (ROOT / "db/start.sql").read_text()
    condition = statements[statements.index("NOT (") : statements.index(");")]
    found = re.findall(r"@@GLOBAL\.(\w+) (?:= (\S+)|IN \((.+?)\))", condition)

    assert {name: tuple(re.findall(r"[^', ]+", one or several)) for name, one, several in found} == SETTINGS
    configured = dict(re.findall(r"^(\w+) *= *(\w+)", (ROOT / "db/my.cnf").read_text(), re.MULTILINE))
    for name, accepted in SETTINGS.items():
        assert {"OFF": "0"}.get(configured[name], configured[name]) == accepted[0]


def load_with(stack: RunningStack, count: int, *options: str) -> None:
    """Start MySQL with these options, and store the first `count` sample people as root."""
    server = MySQLServer(stack.directory)
    server.initialise(ignore_progress)
    with subprocess.Popen([*server.command(), *options], env=environment.listed()) as process:
        wait_until(lambda: server.execute("SELECT 1").returncode == 0)
        load(stack.directory, count, lambda stored, loaded: None)
        process.terminate()


WRONG = "--ngram-token-size=2"


@pytest.mark.long
@pytest.mark.parametrize(
    "loads",
    [
        ((1500, WRONG),),
        ((5, WRONG),),
        ((1000,), (2000, WRONG)),
        ((1000, WRONG), (2000,)),
        ((1000,), (2000, WRONG), (3000,)),
    ],
    ids=["all people", "five people", "the newest people", "the oldest people", "people between others"],
)
def test_an_index_that_was_made_with_other_settings_is_found_and_healed(
    stack: RunningStack, loads: tuple[tuple[Any, ...], ...]
) -> None:
    """InnoDB does not record the size of the n-grams, so the settings of the running server do not tell."""
    stack.directory.make()
    for count, *options in loads:
        load_with(stack, count, *options)

    output = stack.up(*SMALL)
    findings = findings_of(stack)

    assert findings["settings"]["ok"]
    assert not findings["index"]["ok"]
    assert "doctor" in findings["index"]["remedy"]
    if len(loads) < 3:  # otherwise a random place decides whether the first probe finds it
        assert "api1 is not ready: the full-text index lacks rows" in output
        assert "lacks rows" in check_unavailable(stack.instance(1).request("GET", "/health/ready"))
    assert failed_checks(stack, "--heal") == []
    assert failed_checks(stack, "--all") == []
    assert stack.instance(1).request("GET", "/health/ready").status == 200


def test_a_healthy_index_is_ready_while_people_are_stored_changed_and_deleted(operator_stack: RunningStack) -> None:
    """Syncs hide rows for moments, and a row that the probe has chosen may go or change."""
    store, stopped, failures = PeopleStore(operator_stack.config), threading.Event(), []

    def probe() -> None:
        address = f"unix:{operator_stack.data}/run/api1.1.sock"
        while not stopped.is_set():
            failures.append(why_not_ready(address, timeout=30))

    prober = threading.Thread(target=probe)
    prober.start()
    try:
        for _ in range(10):
            store_people(store, 100)
            with root_cursor(operator_stack) as cursor:
                cursor.execute("UPDATE pessoas SET nome = CONCAT(nome, 'x') WHERE marca & 0xFFFFFFFF LIMIT 1")
                cursor.execute("DELETE FROM pessoas WHERE marca & 0xFFFFFFFF ORDER BY id DESC LIMIT 1")
    finally:
        stopped.set()
        prober.join()

    assert "" in failures
    assert [failure for failure in failures if "index" in failure] == []  # a busy machine may answer late
