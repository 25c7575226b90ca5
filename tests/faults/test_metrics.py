"""Each INSERT whose reply was lost is counted once, by how it was settled."""

import pytest

from service import metrics
from service.errors import NicknameTaken, Unavailable
from service.metrics import DATABASE_CONNECTIONS, DOUBTFUL_INSERTS, SharedMetrics
from service.person import new_id
from service.store import PeopleStore
from tests.support.people import new_person
from tests.support.proxy import FaultProxy, ProxyFault

pytestmark = [pytest.mark.faults, pytest.mark.alone]

REPLY, REQUEST = (b"INSERT", ProxyFault.REPLY_LOST), (b"INSERT", ProxyFault.REQUEST_LOST)
CONFIRMATION = (b"HEX(id)", ProxyFault.REPLY_LOST)


@pytest.fixture
def shared(faulty_store: PeopleStore, monkeypatch: pytest.MonkeyPatch) -> SharedMetrics:
    """Return the metrics of this process, after the store has connected."""
    monkeypatch.setattr(metrics, "_region", metrics._region)  # the tests after this one count as before
    shared = SharedMetrics(1)
    shared.attach(0)
    return shared


def outcomes(shared: SharedMetrics) -> dict[str, float]:
    """Return the outcomes that happened."""
    return {outcome: values[0] for (outcome,), values in shared.totals()[DOUBTFUL_INSERTS.name].items() if values[0]}


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ([REPLY], "stored_at_first"),
        ([REQUEST], "stored_by_repetition"),
        ([REPLY, REPLY], "unknown"),
        ([REPLY, CONFIRMATION, CONFIRMATION], "unknown"),
    ],
)
def test_an_insert_whose_reply_is_lost_is_counted_by_its_outcome(
    faulty_store: PeopleStore,
    proxy: FaultProxy,
    shared: SharedMetrics,
    faults: list[tuple[bytes, ProxyFault]],
    outcome: str,
) -> None:
    proxy.statement_faults = faults
    if outcome == "unknown":
        with pytest.raises(Unavailable):
            faulty_store.add(new_person())
    else:
        faulty_store.add(new_person())

    assert outcomes(shared) == {outcome: 1}
    assert shared.totals()[DATABASE_CONNECTIONS.name]["made",][0] >= 1


def test_a_nickname_that_another_person_has_is_counted_as_taken(
    store: PeopleStore, faulty_store: PeopleStore, proxy: FaultProxy, shared: SharedMetrics
) -> None:
    person = new_person()
    store.add(person)
    proxy.break_next(ProxyFault.REPLY_LOST)

    with pytest.raises(NicknameTaken):
        faulty_store.add(person._replace(id=new_id()))

    assert outcomes(shared) == {"taken": 1}


def test_a_connection_that_fails_is_counted(
    faulty_store: PeopleStore, proxy: FaultProxy, shared: SharedMetrics
) -> None:
    proxy.go_down()
    proxy.cut()

    with pytest.raises(Unavailable):
        faulty_store.add(new_person())

    assert shared.totals()[DATABASE_CONNECTIONS.name]["failed",][0] == 1
