"""./rinha doctor finds what is wrong with a running stack, says what to do, and repairs what it can."""

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import PeopleStore
from tests.support.commands import failed_checks, findings_of
from tests.support.fulltext import lose_from_index
from tests.support.mysql import recreate_triggers
from tests.support.people import new_person, store_people
from tests.support.stack import RunningStack

CHECKS = ["components", "disk", "versions", "settings", "limits", "schema", "count", "index"]


@pytest.fixture(autouse=True)
def repaired(operator_stack: RunningStack) -> Iterator[None]:
    """Check after each test that nothing is wrong any more."""
    yield
    assert failed_checks(operator_stack, "--heal", "--all") == []


def test_no_check_fails_while_people_are_created(operator_stack: RunningStack) -> None:
    stopped = threading.Event()

    def write() -> None:
        store = PeopleStore(operator_stack.config)
        while not stopped.is_set():
            store.add(new_person(name=secrets.token_hex(40), skills=[secrets.token_hex(16) for _ in range(8)]))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        findings = findings_of(operator_stack, "--all")
    finally:
        stopped.set()
        writer.join()

    assert list(findings) == CHECKS
    assert [finding for finding in findings.values() if not finding["ok"]] == []


def test_the_findings_are_printed_as_lines(operator_stack: RunningStack) -> None:
    completed = operator_stack.rinha("doctor")

    assert (completed.returncode, completed.stderr) == (0, "")
    lines = [line for line in completed.stdout.splitlines() if not line.startswith("rinha: ")]
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in CHECKS]


@pytest.mark.faults
@pytest.mark.long
def test_a_row_missing_from_the_index_is_found_and_indexed_again(operator_stack: RunningStack) -> None:
    """InnoDB loses the row on a table without the gate."""
    lost = new_person(name=secrets.token_hex(20))
    operator_stack.sql("DROP TRIGGER antes_de_inserir; DROP TRIGGER depois_de_inserir")
    lose_from_index(operator_stack, lost, marca=0)
    recreate_triggers(operator_stack)
    store = PeopleStore(operator_stack.config)
    assert store.get(lost.id) == lost
    assert store.search(lost.nickname) == []

    assert failed_checks(operator_stack) == ["index"]
    healed = findings_of(operator_stack, "--heal")["index"]

    assert healed["ok"], healed
    assert "1 not found by full text, 0 after" in healed["detail"]
    assert store.search(lost.nickname) == [lost]
    assert failed_checks(operator_stack) == []


def test_a_wrong_count_is_found_and_repaired(operator_stack: RunningStack) -> None:
    store_people(PeopleStore(operator_stack.config), 3)
    operator_stack.sql("UPDATE contagem SET pessoas = pessoas + 1")

    assert failed_checks(operator_stack) == ["count"]
    assert failed_checks(operator_stack, "--heal") == []
    assert failed_checks(operator_stack) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("DROP TRIGGER depois_de_apagar", "depois_de_apagar"),
        ("ALTER TABLE pessoas ADD KEY nome (nome)", "pessoas"),
    ],
)
def test_a_different_schema_is_found(operator_stack: RunningStack, change: str, named: str) -> None:
    operator_stack.sql(change)
    try:
        schema = findings_of(operator_stack)["schema"]
    finally:
        if "KEY" in change:
            operator_stack.sql("ALTER TABLE pessoas DROP KEY nome")
        recreate_triggers(operator_stack)

    assert not schema["ok"]
    assert named in schema["detail"]


def test_a_different_setting_is_found(operator_stack: RunningStack) -> None:
    operator_stack.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        settings = findings_of(operator_stack)["settings"]
    finally:
        operator_stack.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1")

    assert not settings["ok"]
    assert "innodb_flush_log_at_trx_commit is 2 instead of 1" in settings["detail"]


def test_without_a_stack_doctor_says_how_to_start_one(operator_stack: RunningStack, tmp_path: Path) -> None:
    completed = RunningStack(operator_stack.port, tmp_path / "nothing").rinha("doctor")

    assert completed.returncode == 1
    assert "./rinha up starts it" in completed.stderr
