"""A partition of a group's network: the majority stores people, and no answer comes from the past."""

import random
import time
from collections.abc import Iterator

import pytest

from tests.support.cluster import ObservedCluster, checkout_for_faults, observed_cluster
from tests.support.fault_table import Tally
from tests.support.group_faults import Outcome, play
from tests.support.history import Action
from tests.support.member_network import MemberNetwork, member_network

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SECONDS = 15.0  # of a partition: longer than a silent member stays in the group
WRITES_BACK = 12.0  # seconds until the majority has a primary


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemberNetwork]:
    """Yield a network for three members; this needs root and the command `ip`."""
    with member_network(3, tmp_path_factory.mktemp("network") / "programs") as network:
        yield network


@pytest.fixture(scope="module")
def site(network: MemberNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObservedCluster]:
    """Yield a stack whose members are in the network."""
    root = checkout_for_faults(tmp_path_factory.mktemp("checkout") / "rinha")
    with observed_cluster(tmp_path_factory.mktemp("group"), root) as site:
        yield site


@pytest.mark.parametrize("isolated", ["primary", "secondary"])
def test_a_partition_loses_no_person_on_any_member(
    network: MemberNetwork, site: ObservedCluster, tally: Tally, isolated: str, pytestconfig: pytest.Config
) -> None:
    def cut_off(site: ObservedCluster) -> None:
        number = site.primary() if isolated == "primary" else site.secondaries()[0]
        network.cut_off(number)
        try:
            time.sleep(SECONDS)
        finally:
            network.connect()

    fault = f"{isolated} cut off for {SECONDS:.0f} s"
    outcome: Outcome = play(site, cut_off, random.Random(f"{pytestconfig.getoption('seed')}/{fault}"))
    tally(fault, outcome.result)
    print(outcome.describe(fault))
    outcome.check()
    assert outcome.longest_wait(Action.CREATE) < WRITES_BACK
