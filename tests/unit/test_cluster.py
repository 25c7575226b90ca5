"""The service on a MySQL group, with members that answer what a test says."""

import itertools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pymysql
import pytest

from service import cluster
from service.config import Config
from service.database import Connector, DuplicateKey
from service.errors import SearchTimeout, Unavailable
from service.member import Doubtful, Member
from service.person import Person
from service.store import PeopleStore

CONFIG = Config(db_password="x", db_hosts="a,b,c", db_timeout=0.1)
PERSON = "00" * 16 + "\x1fana\x1fAna\x1f2000-01-01"


class FakeMember:
    """A member with a role, the rows that it has, and the errors of its next calls."""

    select_timeout_ms = 90
    connections = 1

    def __init__(self, config: Config, name: str) -> None:
        self.host = config.db_host
        self.state = "SECONDARY"
        self.rows: list[tuple[str]] = []
        self.late: list[tuple[str]] = []  # rows that the member has once it has caught up
        self.errors: list[Exception] = []
        self.calls: list[str] = []

    def _answer(self, call: str) -> None:
        self.calls.append(call)
        if self.errors:
            raise self.errors.pop(0)
        if not self.state:
            raise Unavailable("away")

    def role(self) -> str:
        self._answer("role")
        return self.state

    def catch_up(self) -> str:
        self._answer("catch_up")
        self.rows += self.late
        self.late = []
        return self.state

    def read(self, statement: str, values: Sequence[str | None] = ()) -> list[tuple[str]]:
        self._answer("read")
        return self.rows

    def insert_once(self, statement: str, values: Sequence[str | None], timeout: float) -> None:
        self._answer("insert")
        assert timeout > 0
        if self.state != "PRIMARY":
            raise Unavailable("read-only")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> PeopleStore:
    """Return a store over three members, of which a is the primary; the worker reads from b."""
    monkeypatch.setattr(cluster, "Member", FakeMember)
    monkeypatch.setattr("random.sample", lambda numbers, count: list(numbers))
    store = PeopleStore(CONFIG)
    members(store)[0].state = "PRIMARY"
    store._database.insert("", ())
    store._database.wait_for_group()
    for member in members(store):
        member.calls.clear()
    return store


def members(store: PeopleStore) -> list[FakeMember]:
    database: Any = store._database
    found: list[FakeMember] = database._members
    return found


def calls(store: PeopleStore) -> list[list[str]]:
    return [member.calls for member in members(store)]


def switch(store: PeopleStore) -> Callable[[float], None]:
    """Return a pause during which c becomes the primary."""

    def pause(seconds: float) -> None:
        members(store)[2].state = "PRIMARY"

    return pause


def test_a_person_that_a_member_has_is_read_without_waiting_for_the_group(store: PeopleStore) -> None:
    members(store)[1].rows = [(PERSON,)]

    assert store.get(bytes(16)) == Person(bytes(16), "ana", "Ana", "2000-01-01", None)
    assert calls(store) == [[], ["read"], []]


def test_a_person_that_a_member_lacks_is_read_after_waiting_for_the_group(store: PeopleStore) -> None:
    members(store)[1].late = [(PERSON,)]

    assert store.get(bytes(16))
    assert calls(store) == [[], ["read", "catch_up", "read"], []]


def test_the_people_are_counted_after_waiting_for_the_group(store: PeopleStore) -> None:
    members(store)[1].rows, members(store)[1].late = [], [("3",)]

    assert store.count() == 3


def test_a_member_that_replaces_another_one_waits_for_the_group_too(store: PeopleStore) -> None:
    store._database.wait_for_group()
    members(store)[1].state = ""
    members(store)[2].late = [("3",)]

    assert store._database.read("SELECT") == [("3",)]
    assert members(store)[2].calls == ["catch_up", "read"]


def test_a_search_that_exceeds_its_time_is_not_repeated_on_another_member(store: PeopleStore) -> None:
    members(store)[1].errors = [SearchTimeout()]

    with pytest.raises(SearchTimeout):
        store._database.read("SELECT")
    assert calls(store) == [[], ["read"], []]


def test_another_worker_connection_or_member_is_another_server_to_a_search(store: PeopleStore) -> None:
    before = store._database.connections
    members(store)[1].state = ""

    store._database.read("SELECT")

    assert store._database.connections > before


def test_a_refused_insert_looks_for_the_new_primary(store: PeopleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    members(store)[0].state = "SECONDARY"
    monkeypatch.setattr("time.sleep", switch(store))

    store._database.insert("", ())

    assert members(store)[2].calls[-1] == "insert"


@pytest.mark.parametrize(("first", "was_repeated"), [(Doubtful(), True), (Unavailable("read-only"), False)])
def test_only_after_a_doubtful_insert_a_taken_key_may_be_the_own_one(
    store: PeopleStore, first: Exception, was_repeated: bool
) -> None:
    members(store)[0].errors = [first, Unavailable("still")]  # of the INSERT, and of the next look
    members(store)[2].state = "PRIMARY"
    members(store)[2].errors = []
    taken = DuplicateKey(was_repeated=False)
    members(store)[2].insert_once = lambda *_: _raise(taken)  # type: ignore[method-assign]

    with pytest.raises(DuplicateKey) as raised:
        store._database.insert("", ())
    assert raised.value.was_repeated == was_repeated


def _raise(error: Exception) -> None:
    raise error


def test_while_there_is_no_primary_only_some_requests_wait_for_one(
    store: PeopleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    ticks = itertools.count(100.0, 0.01)
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))
    monkeypatch.setattr("time.sleep", pauses.append)
    for member in members(store):
        member.state = "SECONDARY"

    with pytest.raises(Unavailable):
        store._database.insert("", ())
    assert pauses
    pauses.clear()
    with pytest.raises(Unavailable):
        store._database.insert("", ())
    assert not pauses


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (pymysql.IntegrityError(1062, "duplicate"), DuplicateKey),
        (pymysql.OperationalError(1290, "read-only"), Unavailable),
        (pymysql.OperationalError(3032, "offline"), Unavailable),
        (pymysql.OperationalError(2006, "gone"), Unavailable),
        (pymysql.OperationalError(3797, "could not wait for the group"), Unavailable),
        (pymysql.OperationalError(2013, "lost"), Doubtful),
        (pymysql.OperationalError(3100, "hook failed"), Doubtful),
        (pymysql.OperationalError(3101, "rolled back during commit"), Doubtful),
        (pymysql.OperationalError(1053, "shutdown"), Doubtful),
        (pymysql.OperationalError(1180, "error during commit"), Doubtful),
        (pymysql.InterfaceError(0, ""), Unavailable),
        (pymysql.InternalError(), Doubtful),
    ],
)
def test_an_insert_is_doubtful_unless_the_member_says_that_it_did_not_execute_it(
    monkeypatch: pytest.MonkeyPatch, error: pymysql.MySQLError, raised: type[Exception]
) -> None:
    member = Member(CONFIG)
    monkeypatch.setattr(member, "_execute", lambda *_: _raise(error))

    with pytest.raises(raised):
        member.insert_once("INSERT", (), 1)


def test_an_insert_waits_for_what_is_left_of_its_time_also_on_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a member joins or leaves, the group is too slow for the time of one read."""
    cursor = nullcontext(SimpleNamespace(execute=lambda statement: None, fetchall=lambda: [("PRIMARY",)]))
    connection = SimpleNamespace(_read_timeout=0.096, cursor=lambda: cursor)
    monkeypatch.setattr(Connector, "connect", lambda connector: connection)
    member = Member(CONFIG)
    timeouts = []

    def execute(statement: str, values: Sequence[str | None]) -> None:
        timeouts.append(member._connector.connect()._read_timeout)  # type: ignore[attr-defined]

    monkeypatch.setattr(member, "_execute", execute)
    for seconds in (0.15, 0.05):
        member.insert_once("INSERT", (), seconds)

    assert timeouts == [0.15, 0.05]
    assert connection._read_timeout == 0.096
