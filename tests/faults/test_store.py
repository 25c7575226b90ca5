"""The store between a service that must not lie and a MySQL that cannot always be heard."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pymysql
import pytest

from service.app import create_app
from service.errors import NicknameTaken, Unavailable
from service.person import new_id
from service.store import PeopleStore
from tests.support.client import Answer, Client, InProcess, post
from tests.support.people import nickname, somebody
from tests.support.proxy import CONNECTION_FAULTS, STATEMENT_FAULTS, Fault, FaultProxy
from tests.support.stack import RunningStack

pytestmark = pytest.mark.faults

TIMEOUT = 0.5  # seconds; what the service waits for a statement here
NOISE = 1.0  # seconds that the machine may add to a bound


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


@pytest.mark.parametrize("fault", STATEMENT_FAULTS, ids=lambda fault: fault.name)
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


def test_an_insert_whose_settling_fails_is_unavailable_and_not_taken(faulty: PeopleStore, proxy: FaultProxy) -> None:
    """The nickname is found taken by a row that cannot be looked at."""
    proxy.queue = [(b"INSERT", Fault.REPLY_LOST), (b"HEX(id)", Fault.REPLY_LOST), (b"HEX(id)", Fault.REPLY_LOST)]

    with pytest.raises(Unavailable):
        faulty.add(somebody())

    assert proxy.queue == []


@pytest.mark.parametrize(
    "second", [None, *CONNECTION_FAULTS, *STATEMENT_FAULTS], ids=lambda fault: fault and fault.name
)
@pytest.mark.parametrize("first", STATEMENT_FAULTS, ids=lambda fault: fault.name)
def test_whatever_breaks_the_answer_is_true_and_comes_in_time(
    stack: RunningStack, proxy: FaultProxy, first: Fault, second: Fault | None
) -> None:
    """A statement, and then the connection or the statement by which it is settled."""
    client = in_process(stack, proxy, timeout=0.25)
    mark = nickname()
    proxy.break_next(first, *([second] if second else []))

    answer = timed(2 * 0.25, client, mark)

    assert (proxy.queue, proxy.connections) == ([], [])
    if answer.status == 201:
        assert stack_rows(stack, mark) == [answer.headers["location"].rpartition("/")[2].replace("-", "").upper()]
    else:
        assert second, "what breaks once can be settled"
        check_away(answer)
        until(2.0, lambda: check_rows(stack, mark, stored(first, second)))
    rows = stack_rows(stack, mark)
    until(2.0, lambda: check_answer(create(client, mark), 422 if rows else 201))


@pytest.mark.parametrize("fault", CONNECTION_FAULTS, ids=lambda fault: fault.name)
def test_a_connection_that_fails_is_an_honest_503_and_stores_nobody(
    stack: RunningStack, proxy: FaultProxy, fault: Fault
) -> None:
    client = in_process(stack, proxy, timeout=TIMEOUT)
    mark = nickname()
    proxy.cut()
    proxy.break_next(fault)

    check_away(timed(2 * TIMEOUT, client, mark))

    assert stack_rows(stack, mark) == []
    until(2.0, lambda: check_answer(create(client, mark), 201))


@pytest.mark.parametrize("second", [Fault.GREETING_STALLED, Fault.REPLY_STALLED], ids=lambda fault: fault.name)
def test_a_mysql_that_hangs_is_answered_for_within_two_seconds(
    stack: RunningStack, proxy: FaultProxy, second: Fault
) -> None:
    """With the timeout as it is by default: this is the longest that anybody waits."""
    client = in_process(stack, proxy, timeout=1.0)
    waited = []
    for _ in range(3):  # the quickest of them, as the machine may add to any
        until(2.0, lambda: check_answer(client.ask("GET", "/contagem-pessoas"), 200))
        proxy.break_next(Fault.REPLY_STALLED, second)
        started = time.monotonic()
        check_away(create(client, nickname()))
        waited.append(time.monotonic() - started)
        if waited[-1] < 2.0:
            break

    assert min(waited) < 2.0


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
    proxy.break_next(Fault.REPLY_STALLED, marker=b"FROM contagem")

    with pytest.raises(Unavailable):
        within(2 * TIMEOUT, faulty.count)

    assert faulty.count() >= 0


def test_a_read_that_fails_twice_is_unavailable(faulty: PeopleStore, proxy: FaultProxy) -> None:
    proxy.break_next(Fault.REPLY_LOST, Fault.REPLY_LOST, marker=b"FROM contagem")

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
    proxy.break_next(Fault.GREETING_STALLED)
    store = PeopleStore(dataclasses.replace(stack.config, db_socket=str(proxy.path), db_timeout=TIMEOUT))

    with pytest.raises(Unavailable):
        within(2 * TIMEOUT, store.count)
    assert proxy.connections == []

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


def test_of_two_requests_for_one_nickname_through_two_instances_one_is_201(stack: RunningStack) -> None:
    """In both dialects, fifty times."""
    instances = [stack.instance(1), stack.instance(2)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(50):
            mark, ready = nickname(), threading.Barrier(2)

            def want(client: Client, mark: str = mark, ready: threading.Barrier = ready) -> Answer:
                ready.wait()
                return create(client, mark)

            answers = list(pool.map(want, instances))

            assert sorted(answer.status for answer in answers) == [201, 422]
            (winner,) = (answer for answer in answers if answer.status == 201)
            assert instances[0].ask("GET", winner.headers["location"]).json() == winner.json()
            assert len(stack_rows(stack, mark)) == 1


def in_process(stack: RunningStack, proxy: FaultProxy, timeout: float) -> InProcess:
    """Return the application over the proxy; it has its connection."""
    store = PeopleStore(dataclasses.replace(stack.config, db_socket=str(proxy.path), db_timeout=timeout))
    store.check()
    return InProcess(create_app(store))


def create(client: Client, mark: str) -> Answer:
    return post(client, "/pessoas", {"apelido": mark, "nome": "Ana", "nascimento": "2000-01-01"})


def timed(seconds: float, client: Client, mark: str) -> Answer:
    """Create somebody, within a bound."""
    answers: list[Answer] = []
    within(seconds, lambda: answers.append(create(client, mark)))
    return answers[0]


def stack_rows(stack: RunningStack, mark: str) -> list[str]:
    """Return the ids of who has a nickname, past the index of nicknames."""
    connection = pymysql.connect(
        unix_socket=stack.config.db_socket, user="root", database="rinha", autocommit=True, ssl_disabled=True
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT HEX(id) FROM pessoas FORCE INDEX (PRIMARY) WHERE apelido = %s", (mark,))
        return [identifier for (identifier,) in cursor.fetchall()]


def stored(*faults: Fault) -> int:
    """Tell whether MySQL has executed an INSERT that met these faults."""
    return int(any(fault in (Fault.REPLY_LOST, Fault.REPLY_HALVED, Fault.REPLY_STALLED) for fault in faults))


def check_rows(stack: RunningStack, mark: str, number: int) -> None:
    """Check that so many rows have the nickname; raise Unavailable if not, as MySQL may be about to make one."""
    if len(stack_rows(stack, mark)) != number:
        raise Unavailable(f"not {number} rows")


def check_away(answer: Answer) -> None:
    assert (answer.status, answer.headers.get("content-type")) == (503, "application/problem+json"), answer
    assert int(answer.headers["retry-after"]) >= 1


def check_answer(answer: Answer, status: int) -> None:
    """Check the status of an answer; raise Unavailable for one that says to come again."""
    if answer.status == 503:
        raise Unavailable("not yet")
    assert answer.status == status


def within(seconds: float, ask: object) -> None:
    """Call, and fail if that takes much longer than `seconds`: the bound is a promise, not a speed."""
    started = time.monotonic()
    try:
        ask()  # type: ignore[operator]
    finally:
        assert time.monotonic() - started < seconds + NOISE


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
