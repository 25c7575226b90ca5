"""./rinha doctor sees what is wrong with a running stack, says what to do, and mends what it can."""

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import PeopleStore
from tests.support.operating import commit_after_a_sync_and_kill, fill, findings, make_triggers_again, what_is_wrong
from tests.support.people import somebody
from tests.support.stack import RunningStack

CHECKS = ["components", "disk", "versions", "settings", "limits", "schema", "count", "index"]


@pytest.fixture(autouse=True)
def mended(operated: RunningStack) -> Iterator[None]:
    yield
    assert what_is_wrong(operated, "--heal", "--all") == []


def test_all_is_well_with_a_stack_that_is_written_to(operated: RunningStack) -> None:
    over = threading.Event()

    def write() -> None:
        store = PeopleStore(operated.config)
        while not over.is_set():
            store.add(somebody(name=secrets.token_hex(40), skills=[secrets.token_hex(16) for _ in range(8)]))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = findings(operated, "--all")
    finally:
        over.set()
        writer.join()

    assert list(found) == CHECKS
    assert [finding for finding in found.values() if not finding["ok"]] == []


def test_it_is_said_line_by_line_for_people(operated: RunningStack) -> None:
    said = operated.rinha("doctor")

    assert (said.returncode, said.stderr) == (0, "")
    lines = [line for line in said.stdout.splitlines() if not line.startswith("rinha: ")]
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in CHECKS]


@pytest.mark.faults
def test_a_person_whom_innodb_lost_is_seen_and_put_into_the_index_again(operated: RunningStack) -> None:
    """As it did before there was a gate."""
    lost = somebody(name=secrets.token_hex(20))
    operated.sql("DROP TRIGGER antes_de_inserir; DROP TRIGGER depois_de_inserir")
    commit_after_a_sync_and_kill(operated, lost, marca=0)
    make_triggers_again(operated)
    store = PeopleStore(operated.config)
    assert store.get(lost.id) == lost
    assert store.search(lost.nickname) == []

    assert what_is_wrong(operated) == ["index"]
    healed = findings(operated, "--heal")["index"]

    assert healed["ok"], healed
    assert "1 not found by full text, 0 after" in str(healed["detail"])
    assert store.search(lost.nickname) == [lost]
    assert what_is_wrong(operated) == []


def test_a_count_that_is_wrong_is_seen_and_mended(operated: RunningStack) -> None:
    fill(PeopleStore(operated.config), 3)
    operated.sql("UPDATE contagem SET pessoas = pessoas + 1")

    assert what_is_wrong(operated) == ["count"]
    assert what_is_wrong(operated, "--heal") == []
    assert what_is_wrong(operated) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("DROP TRIGGER depois_de_apagar", "depois_de_apagar"),
        ("ALTER TABLE pessoas ADD KEY nome (nome)", "pessoas"),
    ],
)
def test_a_schema_that_differs_is_seen(operated: RunningStack, change: str, named: str) -> None:
    operated.sql(change)
    try:
        schema = findings(operated)["schema"]
    finally:
        if "KEY" in change:
            operated.sql("ALTER TABLE pessoas DROP KEY nome")
        make_triggers_again(operated)

    assert not schema["ok"]
    assert named in str(schema["detail"])


def test_a_setting_that_differs_is_seen(operated: RunningStack) -> None:
    operated.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        settings = findings(operated)["settings"]
    finally:
        operated.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1")

    assert not settings["ok"]
    assert "innodb_flush_log_at_trx_commit is 2 instead of 1" in str(settings["detail"])


def test_without_a_stack_it_says_how_to_start_one(operated: RunningStack, tmp_path: Path) -> None:
    said = RunningStack(operated.port, tmp_path / "nothing").rinha("doctor")

    assert said.returncode == 1
    assert "./rinha up starts it" in said.stderr
