"""Searches as fast as they are answered, beside creations: nothing dies, nobody is lost, nothing grows."""

from collections.abc import Callable, Iterator

import pytest

from bench.search_latency import MIX
from bench.search_storm import BAD_TERMS, large_person, line, person, play
from ops.stack.data_directory import DataDirectory
from ops.system.cgroups import available
from tests.support.stack import RunningStack, free_port

PEOPLE = 60_000
SECONDS = 3
WORKERS = 8
MEMORY = 1013  # megabytes: what MySQL gets of 1,536

pytestmark = pytest.mark.skipif(not available(), reason="needs permission to make control groups")


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    running = RunningStack(free_port(), tmp_path_factory.mktemp("storm"))
    said = running.rinha("up", "--detach", "--cpus", "1.5", "--memory", "1536", timeout=300)
    assert said.returncode == 0, said.stdout + said.stderr
    assert running.rinha("seed", str(PEOPLE), timeout=200).returncode == 0
    yield running
    running.rinha("down")


ALL = [term for some in MIX.values() for term in some]


@pytest.mark.parametrize(
    ("terms", "body"), [(ALL, person), (ALL, large_person), *(([term], person) for term in BAD_TERMS)]
)
def test_whatever_is_searched_for_statements_and_memory_are_bounded_and_nobody_is_lost(
    limited: RunningStack, terms: list[str], body: Callable[[str], bytes]
) -> None:
    directory = DataDirectory(limited.data)

    outcome = play(directory, limited.port, SECONDS, terms, clients=8, writers=2, rate=20, body=body)

    print(line(", ".join(terms)[:30], outcome))
    assert outcome.watched.statements <= WORKERS
    assert outcome.watched.memory < MEMORY
    assert outcome.watched.starts == 0
    assert {200} <= set(outcome.searches.statuses) <= {200, 503}  # how many are refused, the machine decides
    assert set(outcome.creations.statuses) == {201}
    for nickname in outcome.stored:
        (found,) = limited.wire.ask("GET", f"/pessoas?t={nickname}").json()
        assert found["apelido"] == nickname
