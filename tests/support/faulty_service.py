"""The application on MySQL behind a fault proxy, and checks of its answers."""

import time
from collections.abc import Callable
from typing import TypeVar

from service.app import create_app
from service.errors import Unavailable
from service.store import PeopleStore
from tests.support.client import Answer, Client, InProcess
from tests.support.mysql import fetch_rows, root_cursor
from tests.support.people import create_person
from tests.support.polling import wait_until
from tests.support.proxy import FaultProxy
from tests.support.stack import RunningStack

NOISE = 1.0  # seconds that the machine may add to a promise
AVAILABLE_AGAIN = 2.0  # seconds after a fault in which a request succeeds
Result = TypeVar("Result")


def application_behind(proxy: FaultProxy, stack: RunningStack, db_timeout: float) -> InProcess:
    """Return the application behind the proxy, which has its connection to MySQL."""
    store = PeopleStore(proxy.config(stack.config, db_timeout))
    store.check()
    return InProcess(create_app(store))


def within(seconds: float, act: Callable[[], Result]) -> Result:
    """Return the result of `act`; fail if it takes longer than `seconds` and the noise of the machine."""
    started = time.monotonic()
    try:
        return act()
    finally:
        assert time.monotonic() - started < seconds + NOISE


def wait_until_available(act: Callable[[], object]) -> None:
    """Repeat `act` until it does not raise Unavailable."""

    def is_available() -> bool:
        act()
        return True

    wait_until(is_available, AVAILABLE_AGAIN, errors=(Unavailable,))


def wait_for_status(client: Client, nickname: str, status: int) -> None:
    """Repeat a creation while it is answered 503; check the status of the first other answer."""
    answers: list[Answer] = []

    def is_answered() -> bool:
        answers.append(create_person(client, apelido=nickname))
        return answers[-1].status != 503

    wait_until(is_answered, AVAILABLE_AGAIN)
    assert answers[-1].status == status, answers[-1]


def ids_of(stack: RunningStack, nickname: str) -> list[str]:
    """Return the ids of the rows with a nickname, in hexadecimal, from the primary key."""
    with root_cursor(stack) as cursor:
        statement = "SELECT HEX(id) FROM pessoas FORCE INDEX (PRIMARY) WHERE apelido = %s"
        return [identifier for (identifier,) in fetch_rows(cursor, statement, (nickname,))]
