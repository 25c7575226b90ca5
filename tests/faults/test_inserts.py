"""An INSERT whose request or reply is lost is stored once or not at all, and its answer is true and in time."""

import pytest

from service.errors import NicknameTaken, Unavailable
from service.person import new_id
from service.store import PeopleStore
from tests.support.contract import check_unavailable
from tests.support.faulty_service import application_behind, ids_of, wait_for_status, within
from tests.support.people import create_person, new_nickname, new_person
from tests.support.polling import wait_until
from tests.support.proxy import CONNECTION_FAULTS, REPLY_FAULTS, STATEMENT_FAULTS, FaultProxy, ProxyFault
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.faults, pytest.mark.alone]

SHORT_TIMEOUT = 0.25  # seconds


@pytest.mark.parametrize("fault", STATEMENT_FAULTS, ids=lambda fault: fault.name)
def test_a_person_whose_insert_failed_once_is_stored_once(
    store: PeopleStore, faulty_store: PeopleStore, proxy: FaultProxy, stack: RunningStack, fault: ProxyFault
) -> None:
    person = new_person()
    proxy.break_next(fault)

    faulty_store.add(person)

    assert proxy.pending == []
    assert store.get(person.id) == person
    assert len(ids_of(stack, person.nickname)) == 1


@pytest.mark.parametrize("fault", [ProxyFault.REQUEST_LOST, ProxyFault.REPLY_LOST])
def test_the_nickname_of_another_person_is_taken_even_if_the_insert_is_sent_twice(
    store: PeopleStore, faulty_store: PeopleStore, proxy: FaultProxy, fault: ProxyFault
) -> None:
    person = new_person()
    store.add(person)
    proxy.break_next(fault)

    with pytest.raises(NicknameTaken):
        faulty_store.add(person._replace(id=new_id()))


def test_an_insert_that_cannot_be_confirmed_is_unavailable_not_taken_and_not_stored_twice(
    store: PeopleStore, faulty_store: PeopleStore, proxy: FaultProxy
) -> None:
    person = new_person()
    proxy.break_next(ProxyFault.REPLY_LOST, ProxyFault.REPLY_LOST)

    with pytest.raises(Unavailable):
        faulty_store.add(person)

    assert store.get(person.id) == person


def test_an_insert_whose_confirmation_fails_is_unavailable_and_not_taken(
    faulty_store: PeopleStore, proxy: FaultProxy
) -> None:
    """The nickname is taken by a row that cannot be read."""
    proxy.statement_faults = [
        (b"INSERT", ProxyFault.REPLY_LOST),
        (b"HEX(id)", ProxyFault.REPLY_LOST),
        (b"HEX(id)", ProxyFault.REPLY_LOST),
    ]

    with pytest.raises(Unavailable):
        faulty_store.add(new_person())

    assert proxy.pending == []


@pytest.mark.long
@pytest.mark.parametrize(
    "second", [None, *CONNECTION_FAULTS, *STATEMENT_FAULTS], ids=lambda fault: fault and fault.name
)
@pytest.mark.parametrize("first", STATEMENT_FAULTS, ids=lambda fault: fault.name)
def test_after_any_two_faults_the_answer_is_true_and_in_time(
    stack: RunningStack, proxy: FaultProxy, first: ProxyFault, second: ProxyFault | None
) -> None:
    """The second fault breaks the connection or the statement that confirms the INSERT."""
    client = application_behind(proxy, stack, SHORT_TIMEOUT)
    nickname = new_nickname()
    proxy.break_next(first, *([second] if second else []))

    answer = within(2 * SHORT_TIMEOUT, lambda: create_person(client, apelido=nickname))

    assert proxy.pending == []
    if answer.status == 201:
        identifier = answer.headers["location"].rpartition("/")[2]
        assert ids_of(stack, nickname) == [identifier.replace("-", "").upper()]
    else:
        assert second, "one fault does not prevent a confirmation"
        check_unavailable(answer)
        executed = int(first in REPLY_FAULTS or second in REPLY_FAULTS)
        wait_until(lambda: len(ids_of(stack, nickname)) == executed, 2.0)  # MySQL may still execute the INSERT
    wait_for_status(client, nickname, 422 if ids_of(stack, nickname) else 201)
