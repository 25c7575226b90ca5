"""The metrics of each instance show the members of a group, also while a member is killed or stopped."""

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from ops import ROOT
from tests.support.client import OverTheWire
from tests.support.cluster import ObservedCluster, observed_cluster
from tests.support.load import Load
from tests.support.metrics import Samples, scrape
from tests.support.polling import wait_until
from tests.support.stack import free_port

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SCRAPE_TIMEOUT = 4.0  # seconds, of ops/observability/prometheus.yml


class MeteredCluster:
    """A group, and what its two instances tell Prometheus."""

    def __init__(self, site: ObservedCluster, port: int) -> None:
        self.site = site
        self._client = OverTheWire(port, timeout=SCRAPE_TIMEOUT)

    def scrapes(self) -> list[Samples]:
        """Return the samples of each instance."""
        return [scrape(self._client, f"/metrics/api{number}") for number in (1, 2)]

    def members(self) -> list[dict[int, str]]:
        """Return for each instance the state and the role of each member."""
        found = []
        for samples in self.scrapes():
            states = {}
            for name in samples:
                if name.startswith("rinha_group_member_info "):
                    role, address, state = (label.partition("=")[2] for label in name.split(" ")[1:])
                    states[_number(address)] = f"{state} {role}".strip()
            found.append(states)
        return found

    def wait_for_all(self) -> None:
        """Wait until each instance shows each member online, with the role that the member has, and without lag."""
        self.site.wait_for_members()
        roles = {one.number: f"{one.state} {one.role}" for one in self.site.members()}
        assert sorted(roles.values()) == ["ONLINE PRIMARY", "ONLINE SECONDARY", "ONLINE SECONDARY"]
        wait_until(lambda: self.members() == [roles] * 2, describe=self.members)
        wait_until(lambda: [self.lags(samples) for samples in self.scrapes()] == [{1: 0, 2: 0, 3: 0}] * 2)

    def lags(self, samples: Samples) -> dict[int, float]:
        """Return the lag of each member that has one."""
        return self._by_member(samples, "rinha_group_member_lag_transactions")

    def statements(self, operation: str) -> Counter[int]:
        """Return the number of successful statements on each member, of both instances together."""
        name = f"db_client_operation_duration_seconds_count db_operation_name={operation} error_type="
        total: Counter[int] = Counter()
        for samples in self.scrapes():
            total.update({number: int(count) for number, count in self._by_member(samples, name).items()})
        return total

    def _by_member(self, samples: Samples, name: str) -> dict[int, float]:
        begin = f"{name} server_address="
        return {_number(one.removeprefix(begin)): samples[one] for one in samples if one.startswith(begin)}


def _number(address: str) -> int:
    """Return the number of the member that listens on a socket."""
    directory = re.search(r"/member(\d+)/run/", address)
    return int(directory[1]) if directory else 1


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeteredCluster]:
    """Yield a group of three members with metrics."""
    port = free_port()
    with observed_cluster(tmp_path_factory.mktemp("group"), ROOT, 3, "--metrics-port", str(port)) as site:
        yield MeteredCluster(site, port)


def test_the_statements_are_counted_by_member_and_a_killed_primary_is_away(metered: MeteredCluster) -> None:
    metered.wait_for_all()
    killed = metered.site.primary()
    with Load(metered.site.stack.port, 1, clients=4) as load:
        wait_until(lambda: load.has_stored_since(0))
        metered.site.kill(killed)
        wait_until(lambda: all(one[killed].startswith("AWAY") for one in metered.members()), describe=metered.members)
        new = metered.site.primary()
        wait_until(
            lambda: all(one[new] == "ONLINE PRIMARY" for one in metered.members()), timeout=60, describe=metered.members
        )
        wait_until(lambda: metered.statements("INSERT")[new], describe=lambda: metered.statements("INSERT"))
    load.audit()
    metered.wait_for_all()

    assert metered.statements("INSERT")[killed] > 0
    assert all(metered.statements("SELECT")[one] > 0 for one in metered.site.secondaries())


def test_a_stopped_member_is_away_and_no_scrape_takes_longer_than_prometheus_waits(metered: MeteredCluster) -> None:
    """The client of the test waits as long as Prometheus does."""
    metered.wait_for_all()
    stopped = metered.site.secondaries()[0]
    process = metered.site.mysqld(stopped)
    os.kill(process, signal.SIGSTOP)
    try:
        for _ in range(5):
            assert [one[stopped] for one in metered.members()] == ["AWAY"] * 2
            assert [stopped in metered.lags(samples) for samples in metered.scrapes()] == [False] * 2
    finally:
        os.kill(process, signal.SIGCONT)

    metered.wait_for_all()
