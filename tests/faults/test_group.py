"""A MySQL group loses no person when its primary is killed, and each member finds every person."""

import time
from pathlib import Path

import pytest

from tests.support.cluster import observed_cluster
from tests.support.history import NO_VIOLATIONS, check_history
from tests.support.load import Load

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.alone, pytest.mark.timeout(300)]

LOAD_SECONDS = 3.0


def test_a_killed_primary_costs_no_person_on_any_member(tmp_path: Path) -> None:
    with observed_cluster(tmp_path / "data") as site:
        with Load(site.stack.port, 1) as load:
            time.sleep(LOAD_SECONDS)
            killed, moment = site.primary(), time.monotonic()
            site.kill(killed)
            while not load.has_stored_since(moment + 0.5):
                time.sleep(0.1)
                assert time.monotonic() < moment + 60, site.members()
            new = site.primary()
            time.sleep(LOAD_SECONDS)
        site.wait_for_members()
        load.audit()

        assert new != killed
        assert site.audit(load.history) == []
        result = check_history(load.history, site.people())
        assert result.violations == NO_VIOLATIONS
        assert result.acknowledged > 100
