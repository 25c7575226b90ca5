"""Searches at full speed beside creations: MySQL's statements and memory are bounded, and no person is lost."""

from collections.abc import Callable, Iterator

import pytest

from bench.search_latency import MIX
from bench.search_storm import BAD_TERMS, large_person, line, person, play
from ops.system.cgroups import available
from tests.support.stack import RunningStack, running_stack

PEOPLE = 60_000
SECONDS = 3
WORKERS = 8
MEMORY = 1013  # megabytes, the share of MySQL of 1,536

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not available(), reason="needs permission to make control groups"),
]


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield a stack with limits and 60,000 people."""
    with running_stack(tmp_path_factory.mktemp("storm"), "--cpus", "1.5", "--memory", "1536") as stack:
        assert stack.rinha("seed", str(PEOPLE), timeout=200).returncode == 0
        yield stack


def test_a_limited_stack_is_seeded(limited: RunningStack) -> None:
    assert int(limited.wire.request("GET", "/contagem-pessoas").body) == PEOPLE


ALL = [term for terms in MIX.values() for term in terms]


@pytest.mark.alone
@pytest.mark.parametrize(
    ("terms", "body"), [(ALL, person), (ALL, large_person), *(([term], person) for term in BAD_TERMS)]
)
def test_a_search_storm_is_bounded_in_statements_and_memory_and_loses_no_person(
    limited: RunningStack, terms: list[str], body: Callable[[str], bytes]
) -> None:
    outcome = play(limited.directory, limited.port, SECONDS, terms, clients=8, writers=2, rate=20, body=body)

    print(line(", ".join(terms)[:30], outcome))
    assert outcome.watched.statements <= WORKERS
    assert outcome.watched.memory < MEMORY
    assert outcome.watched.starts == 0
    assert {200} <= set(outcome.searches.statuses) <= {200, 503}  # the machine decides how many are refused
    assert set(outcome.creations.statuses) == {201}
    for nickname in outcome.stored:
        (found,) = limited.wire.request("GET", f"/pessoas?t={nickname}").json()
        assert found["apelido"] == nickname
