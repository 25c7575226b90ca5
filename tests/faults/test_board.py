"""Each fault is recognised on the board of `top` and in the metrics; the runbook of operations.md has the signs."""

import random
import time
from collections.abc import Iterator
from string import ascii_lowercase, digits

import pytest

from ops import ROOT
from service.store import INSERT, insert_values
from tests.support import metric_signs
from tests.support.board import OPEN_TRANSACTION, SIGNS, RecordedBoard
from tests.support.faults import FAULTS
from tests.support.load import Load
from tests.support.metric_signs import RecordedMetrics
from tests.support.mysql import root_cursor
from tests.support.observed_stack import ObservedStack, observed_stack
from tests.support.people import new_person
from tests.support.stack import free_port

pytestmark = [pytest.mark.faults, pytest.mark.long]

UNDER_LOAD = 0.5  # seconds before a fault
BLOCKED = 3.0  # seconds for which a transaction is open
PEOPLE_OF_A_SYNC = 8


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, metrics_port: int) -> Iterator[ObservedStack]:
    """Yield a stack for all faults, which answers Prometheus."""
    with observed_stack(tmp_path_factory.mktemp("board"), ROOT, "--metrics-port", str(metrics_port)) as site:
        site.wait_for_service()
        yield site


@pytest.fixture
def fresh_site(site: ObservedStack) -> ObservedStack:
    """Return the stack, on which nothing has been restarted."""
    site.stack.down()
    site.up()
    site.wait_for_service()
    return site


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_recognised_on_the_board_and_in_the_metrics(
    fresh_site: ObservedStack, metrics_port: int, fault: str
) -> None:
    rng = random.Random(fault)
    with RecordedBoard(fresh_site.stack) as board, RecordedMetrics(metrics_port) as metrics:
        assert " restarts 0" in board.last()
        with Load(fresh_site.stack.port, rng.getrandbits(32), clients=4):
            time.sleep(UNDER_LOAD)
            FAULTS[fault].cause(fresh_site, rng)
            for sign in SIGNS[fault]:
                board.wait_for(sign)
            for series in metric_signs.SIGNS[fault]:
                metrics.wait_for(series)


def test_an_open_transaction_is_recognised_on_the_board_and_in_the_metrics(
    fresh_site: ObservedStack, metrics_port: int
) -> None:
    with (
        RecordedBoard(fresh_site.stack) as board,
        RecordedMetrics(metrics_port) as metrics,
        Load(fresh_site.stack.port, 0, clients=4),
    ):
        with root_cursor(fresh_site.stack) as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT id FROM contagem FOR UPDATE")
            time.sleep(BLOCKED)
        for sign in SIGNS[OPEN_TRANSACTION]:
            board.wait_for(sign)
        for series in metric_signs.SIGNS[OPEN_TRANSACTION]:
            metrics.wait_for(series)


def test_the_syncs_of_the_index_are_counted(site: ObservedStack) -> None:
    """The people have so many distinct trigrams that InnoDB syncs its cache."""
    with RecordedBoard(site.stack) as board, root_cursor(site.stack) as cursor:
        board.wait_for("syncs of the index 0")
        for _ in range(PEOPLE_OF_A_SYNC):
            skills = ["".join(random.choices(ascii_lowercase + digits, k=32)) for _ in range(400)]
            cursor.execute(INSERT, insert_values(new_person(skills=skills)))
        board.wait_for("syncs of the index [1-9]")
