"""The group that the fault tests share, with a small full-text cache and clocks that differ."""

from collections.abc import Iterator

import pytest

from tests.support.cluster import ObservedCluster, checkout_for_faults, observed_cluster


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObservedCluster]:
    """Yield a stack with a group of three members."""
    root = checkout_for_faults(tmp_path_factory.mktemp("checkout") / "rinha")
    with observed_cluster(tmp_path_factory.mktemp("group"), root) as site:
        yield site
