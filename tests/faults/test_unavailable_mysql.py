"""While MySQL is down, silent or cut off, answers are 503 in time, and the service recovers by itself."""

import dataclasses
import time
from collections.abc import Callable

import pytest

from service.errors import Unavailable
from service.store import PeopleStore
from tests.support.contract import check_unavailable
from tests.support.faulty_service import (
    application_behind,
    ids_of,
    wait_for_status,
    wait_until_available,
    within,
)
from tests.support.mysql import root_cursor, service_connections
from tests.support.people import create_person, new_nickname, new_person
from tests.support.polling import wait_until
from tests.support.proxy import CONNECTION_FAULTS, FaultProxy, ProxyFault
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.faults, pytest.mark.alone]


@pytest.mark.parametrize("fault", CONNECTION_FAULTS, ids=lambda fault: fault.name)
def test_a_connection_that_fails_is_answered_503_and_stores_no_person(
    stack: RunningStack, proxy: FaultProxy, db_timeout: float, fault: ProxyFault
) -> None:
    client = application_behind(proxy, stack, db_timeout)
    nickname = new_nickname()
    proxy.cut()
    proxy.break_next(fault)

    check_unavailable(within(2 * db_timeout, lambda: create_person(client, apelido=nickname)))

    assert ids_of(stack, nickname) == []
    wait_for_status(client, nickname, 201)


@pytest.mark.parametrize(
    "second", [ProxyFault.GREETING_STALLED, ProxyFault.REPLY_STALLED], ids=lambda fault: fault.name
)
def test_a_request_is_answered_within_two_seconds_if_mysql_hangs(
    stack: RunningStack, proxy: FaultProxy, second: ProxyFault
) -> None:
    """The timeout is the default, so this is the longest time of a request. The quickest of three attempts counts."""
    client = application_behind(proxy, stack, 1.0)
    seconds = []
    for _ in range(3):
        wait_until(lambda: client.request("GET", "/contagem-pessoas").status == 200, 2.0)
        proxy.break_next(ProxyFault.REPLY_STALLED, second)
        started = time.monotonic()
        check_unavailable(create_person(client))
        seconds.append(time.monotonic() - started)
        if seconds[-1] < 2.0:
            break

    assert min(seconds) < 2.0


def test_a_connection_cut_while_idle_causes_no_error(faulty_store: PeopleStore, proxy: FaultProxy) -> None:
    for _ in range(3):
        proxy.cut()
        faulty_store.add(new_person())
        proxy.cut()
        faulty_store.count()


@pytest.mark.parametrize("fault", [ProxyFault.REQUEST_LOST, ProxyFault.REPLY_LOST])
def test_a_read_whose_reply_is_lost_is_sent_again(
    faulty_store: PeopleStore, proxy: FaultProxy, fault: ProxyFault
) -> None:
    person = new_person()
    faulty_store.add(person)
    proxy.break_next(fault, marker=b"HEX(id)")

    assert faulty_store.get(person.id) == person
    assert proxy.pending == []


def test_a_read_that_stalls_is_unavailable_in_time(
    faulty_store: PeopleStore, proxy: FaultProxy, db_timeout: float
) -> None:
    proxy.break_next(ProxyFault.REPLY_STALLED, marker=b"FROM contagem")

    with pytest.raises(Unavailable):
        within(2 * db_timeout, faulty_store.count)

    assert faulty_store.count() >= 0


def test_a_read_that_fails_twice_is_unavailable(faulty_store: PeopleStore, proxy: FaultProxy) -> None:
    proxy.break_next(ProxyFault.REPLY_LOST, ProxyFault.REPLY_LOST, marker=b"FROM contagem")

    with pytest.raises(Unavailable):
        faulty_store.count()


def test_while_mysql_is_down_every_call_is_unavailable_at_once_and_works_once_it_is_up(
    faulty_store: PeopleStore, proxy: FaultProxy, db_timeout: float
) -> None:
    person = new_person()
    proxy.go_down()
    calls: tuple[Callable[[], object], ...] = (
        faulty_store.count,
        faulty_store.check,
        lambda: faulty_store.add(person),
        lambda: faulty_store.get(person.id),
    )
    for call in calls:
        with pytest.raises(Unavailable):
            within(2 * db_timeout, call)

    proxy.come_up()

    wait_until_available(lambda: faulty_store.add(person))
    assert faulty_store.get(person.id) == person


def test_a_mysql_that_accepts_connections_and_sends_nothing_is_unavailable(
    stack: RunningStack, proxy: FaultProxy, db_timeout: float
) -> None:
    proxy.break_next(ProxyFault.GREETING_STALLED)
    store = PeopleStore(proxy.config(stack.config, db_timeout))

    with pytest.raises(Unavailable):
        within(2 * db_timeout, store.count)
    assert proxy.pending == []

    wait_until_available(store.count)


def test_a_wrong_password_is_unavailable(stack: RunningStack) -> None:
    with pytest.raises(Unavailable):
        PeopleStore(dataclasses.replace(stack.config, db_password="wrong")).count()


def test_a_select_that_exceeds_its_time_limit_is_unavailable(
    stack: RunningStack, db_timeout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit of MySQL ends before the timeout of the client."""
    monkeypatch.setattr("service.store._COUNT", "SELECT COUNT(*) FROM pessoas AS a, pessoas AS b WHERE SLEEP(1)")
    store = PeopleStore(dataclasses.replace(stack.config, db_timeout=db_timeout))
    store.add(new_person())

    with pytest.raises(Unavailable, match="stopped"):
        store.count()


def test_faults_leave_no_connections_behind(faulty_store: PeopleStore, proxy: FaultProxy, stack: RunningStack) -> None:
    for number in range(20):
        proxy.break_next([ProxyFault.REQUEST_LOST, ProxyFault.REPLY_LOST][number % 2])
        faulty_store.add(new_person())

    with root_cursor(stack) as cursor:
        # Two instances of four workers, the store of the session, and the store behind the proxy.
        assert service_connections(cursor) <= 8 + 2
