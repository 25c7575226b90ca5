"""The store between a service that must not lie and a MySQL that cannot always be heard."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import NicknameTaken, Unavailable
from service.person import new_id
from service.store import PeopleStore
from tests.conftest import RunningStack, nickname, somebody
from tests.faults.proxy import Fault, FaultProxy

TIMEOUT = 0.5  # seconds; what the service waits for a statement here


@pytest.fixture
def proxy(stack: RunningStack, tmp_path: Path) -> Iterator[FaultProxy]:
    proxy = FaultProxy(tmp_path / "mysql.sock", stack.config.db_socket)
    yield proxy
    proxy.close()


@pytest.fixture
def faulty(stack: RunningStack, proxy: FaultProxy) -> PeopleStore:
    """A store that reaches MySQL through the proxy, and has its connection."""
    store = PeopleStore(dataclasses.replace(stack.config, db_socket=str(proxy.path), db_timeout=TIMEOUT))
    store.check()
    return store


@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.REQUEST_HALVED, Fault.REPLY_LOST, Fault.REPLY_STALLED])
def test_a_person_whose_insert_went_wrong_once_is_stored_once(
    store: PeopleStore, faulty: PeopleStore, proxy: FaultProxy, stack: RunningStack, fault: Fault
) -> None:
    person = somebody()
    proxy.break_next(fault)

    faulty.add(person)

    assert proxy.queue == []
    assert store.get(person.id) == person
    assert stack.sql(f"SELECT COUNT(*) FROM pessoas WHERE apelido = '{person.nickname}'") == [["1"]]


@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.REPLY_LOST])
def test_a_nickname_of_somebody_else_is_taken_however_often_it_is_sent(
    store: PeopleStore, faulty: PeopleStore, proxy: FaultProxy, fault: Fault
) -> None:
    person = somebody()
    store.add(person)
    proxy.break_next(fault)

    with pytest.raises(NicknameTaken):
        faulty.add(person._replace(id=new_id()))


def test_an_insert_that_cannot_be_settled_is_unavailable_not_taken_and_not_stored_twice(
    store: PeopleStore, faulty: PeopleStore, proxy: FaultProxy
) -> None:
    person = somebody()
    proxy.break_next(Fault.REPLY_LOST, Fault.REPLY_LOST)

    with pytest.raises(Unavailable):
        faulty.add(person)

    assert store.get(person.id) == person


def test_a_connection_cut_while_idle_is_not_noticed(faulty: PeopleStore, proxy: FaultProxy) -> None:
    person = somebody()
    for _ in range(3):
        proxy.cut()
        faulty.add(person._replace(id=new_id(), nickname=nickname()))
        proxy.cut()
        faulty.count()


@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.REPLY_LOST])
def test_a_read_whose_reply_is_lost_is_asked_again(faulty: PeopleStore, proxy: FaultProxy, fault: Fault) -> None:
    person = somebody()
    faulty.add(person)
    proxy.break_next(fault, marker=b"HEX(id)")

    assert faulty.get(person.id) == person
    assert proxy.queue == []


def test_a_read_that_stalls_is_unavailable_in_time(faulty: PeopleStore, proxy: FaultProxy) -> None:
    proxy.break_next(Fault.REPLY_STALLED, marker=b"COUNT")

    with pytest.raises(Unavailable):
        within(2 * TIMEOUT, faulty.count)

    assert faulty.count() >= 0


def test_a_read_that_fails_twice_is_unavailable(faulty: PeopleStore, proxy: FaultProxy) -> None:
    proxy.break_next(Fault.REPLY_LOST, Fault.REPLY_LOST, marker=b"COUNT")

    with pytest.raises(Unavailable):
        faulty.count()


def test_while_mysql_is_away_everything_is_unavailable_at_once_and_works_when_it_is_back(
    faulty: PeopleStore, proxy: FaultProxy
) -> None:
    person = somebody()
    proxy.go_away()
    for ask in (faulty.count, faulty.check, lambda: faulty.add(person), lambda: faulty.get(person.id)):
        with pytest.raises(Unavailable):
            within(2 * TIMEOUT, ask)

    proxy.come_back()

    until(2.0, lambda: faulty.add(person))
    assert faulty.get(person.id) == person


def test_a_mysql_that_accepts_and_says_nothing_is_away_too(stack: RunningStack, proxy: FaultProxy) -> None:
    proxy.stalls_connections = True
    store = PeopleStore(dataclasses.replace(stack.config, db_socket=str(proxy.path), db_timeout=TIMEOUT))

    with pytest.raises(Unavailable):
        within(2 * TIMEOUT, store.count)
    proxy.stalls_connections = False
    proxy.cut()

    until(2.0, store.count)


def test_a_wrong_password_is_unavailable(stack: RunningStack) -> None:
    with pytest.raises(Unavailable):
        PeopleStore(dataclasses.replace(stack.config, db_password="wrong")).count()


def test_a_search_over_its_time_is_unavailable(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """MySQL's own bound answers before the client's."""
    monkeypatch.setattr("service.store._COUNT", "SELECT COUNT(*) FROM pessoas AS a, pessoas AS b WHERE SLEEP(1)")
    store = PeopleStore(dataclasses.replace(stack.config, db_timeout=TIMEOUT))
    store.add(somebody())

    with pytest.raises(Unavailable, match="stopped"):
        store.count()


def test_faults_leave_no_connections_behind(faulty: PeopleStore, proxy: FaultProxy, stack: RunningStack) -> None:
    for number in range(20):
        proxy.break_next([Fault.REQUEST_LOST, Fault.REPLY_LOST][number % 2])
        faulty.add(somebody())
    mine = [row for row in stack.sql("SHOW PROCESSLIST") if row[1] == "rinha" and row[3] == "rinha"]

    assert len(mine) <= 8 + 2  # two instances of four workers, the session's store and this one


def test_of_two_who_want_one_nickname_at_once_one_gets_it(stack: RunningStack) -> None:
    outcomes: list[str] = []
    wanted = [nickname() for _ in range(25)]

    def want(ready: threading.Barrier) -> None:
        store = PeopleStore(stack.config)
        store.count()
        for nick in wanted:
            ready.wait()
            try:
                store.add(somebody(nickname=nick))
                outcomes.append(nick)
            except NicknameTaken:
                pass

    ready = threading.Barrier(4)
    threads = [threading.Thread(target=want, args=(ready,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == sorted(wanted)


def within(seconds: float, ask: object) -> None:
    """Call, and fail if that takes much longer than `seconds`: the bound is a promise, not a speed."""
    started = time.monotonic()
    try:
        ask()  # type: ignore[operator]
    finally:
        assert time.monotonic() - started < seconds + 1.0


def until(seconds: float, ask: object) -> None:
    """Call until it does not raise Unavailable, for at most `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ask()  # type: ignore[operator]
            return
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
