"""The metrics of a MySQL group show each member, its role and its lag, and answer while members do not."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from service import group_watch
from service.config import Config
from service.errors import Unavailable
from service.exposition import create_metrics_app
from service.group_watch import GroupWatch, MemberState
from service.metrics import SharedMetrics
from tests.support.client import InProcess
from tests.support.metrics import Samples, parse_samples

CONFIG = Config(db_password="x", db_hosts="/run/a.sock,b,c:3307")
EXECUTED = {"/run/a.sock": "g:1-9", "b": "g:1-8", "c:3307": "g:1-10"}
MISSING = {"g:1-9": "g:10", "g:1-8": "g:9-10", "g:1-10": ""}  # the primary has stored a person meanwhile


class FakeDatabase:
    """The connection to a member that answers what a test says."""

    def __init__(self, config: Config) -> None:
        self.address = config.db_hosts
        self.state, self.role = "ONLINE", "PRIMARY" if config.db_socket else "SECONDARY"
        self.release = threading.Event()  # the member answers when it is set
        self.release.set()
        self.errors: list[Exception] = []  # of the next statements
        self.looks = 0

    def read(self, statement: str, values: Sequence[str] = ()) -> list[tuple[str, ...]]:
        if self.errors:
            raise self.errors.pop(0)
        if "GTID_SUBTRACT" in statement:
            return [tuple(MISSING[executed] for executed in values)]
        self.looks += 1
        self.release.wait(60)
        return [(self.state, self.role, EXECUTED[self.address])]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[GroupWatch]:
    """Yield a watch of three members; the first is the primary, and the second has two transactions to apply."""
    monkeypatch.setattr(group_watch, "Database", FakeDatabase)
    watch = GroupWatch(CONFIG)
    yield watch
    for address in EXECUTED:
        database(watch, address).release.set()


def database(watch: GroupWatch, address: str) -> FakeDatabase:
    found = watch._databases[address]
    assert isinstance(found, FakeDatabase)
    return found


def of(watch: GroupWatch, address: str) -> MemberState:
    """Return what a look finds of a member."""
    return next(member for member in watch.look() if member.address == address)


def scraped(watch: GroupWatch | None) -> Samples:
    """Return the samples of members that Prometheus would read."""
    answer = InProcess(create_metrics_app(SharedMetrics(1), watch)).request("GET", "/metrics")
    samples = parse_samples(answer.body.decode())
    return {name: value for name, value in samples.items() if "group" in name}


def test_the_metrics_have_the_state_the_role_and_the_lag_of_each_member(watch: GroupWatch) -> None:
    assert scraped(watch) == {
        "rinha_group_member_info role=PRIMARY server_address=/run/a.sock state=ONLINE": 1,
        "rinha_group_member_info role=SECONDARY server_address=b state=ONLINE": 1,
        "rinha_group_member_info role=SECONDARY server_address=c:3307 state=ONLINE": 1,
        "rinha_group_member_lag_transactions server_address=/run/a.sock": 0,
        "rinha_group_member_lag_transactions server_address=b": 2,
        "rinha_group_member_lag_transactions server_address=c:3307": 0,
    }


def test_the_metrics_of_one_server_have_no_members() -> None:
    assert scraped(None) == {}


def test_a_member_that_refuses_is_away_and_has_no_lag(watch: GroupWatch) -> None:
    database(watch, "b").errors = [Unavailable("offline mode")]

    samples = scraped(watch)

    assert samples["rinha_group_member_info role= server_address=b state=AWAY"] == 1
    assert [name for name in samples if "lag" in name and "=b" in name] == []
    assert of(watch, "b").state == "ONLINE"


def test_a_member_that_does_not_answer_is_away_and_is_asked_once_until_it_answers(
    watch: GroupWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    database(watch, "b").release.clear()

    assert [member.lag for member in watch.look()] == [0, None, 0]
    with monkeypatch.context() as patched:
        patched.setattr(group_watch, "ANSWER_TIMEOUT", 0.05)
        for _ in range(3):
            assert of(watch, "b") == MemberState("b")
    assert database(watch, "b").looks == 1

    database(watch, "b").release.set()
    watch._answers["b"].result(60)
    assert of(watch, "b").lag == 2
    assert database(watch, "b").looks == 2


def test_a_member_that_is_joining_is_shown_with_its_lag(watch: GroupWatch) -> None:
    database(watch, "b").state, database(watch, "b").role = "RECOVERING", ""

    assert of(watch, "b") == MemberState("b", "RECOVERING", "", EXECUTED["b"], 2)


def test_a_server_that_is_in_no_group_is_offline(watch: GroupWatch) -> None:
    database(watch, "b").state = database(watch, "b").role = ""

    assert of(watch, "b").state == "OFFLINE"


@pytest.mark.parametrize("loss", ["no primary", "stopped during the look"])
def test_without_a_primary_the_states_are_shown_and_no_lag_is(watch: GroupWatch, loss: str) -> None:
    primary = database(watch, "/run/a.sock")
    if loss == "no primary":
        primary.errors = [Unavailable("away")]
    else:
        read = primary.read

        def read_once(statement: str, values: Sequence[str] = ()) -> list[tuple[str, ...]]:
            rows = read(statement, values)
            primary.errors = [Unavailable("away")]
            return rows

        primary.read = read_once  # type: ignore[method-assign]

    members = watch.look()

    assert [member.lag for member in members] == [None] * 3
    assert members[1].state == "ONLINE"
