"""A MySQL group starts again after a full stop, grows, and refuses to start where people would be lost."""

import json
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pymysql
import pytest

from ops.console import ignore_progress
from ops.stack.capacity import plan_capacity
from ops.stack.group import MySQLGroup
from ops.stack.mysql import connect_as_root
from ops.system.processes import kill_group
from tests.support.cluster import ObservedCluster, observed_cluster
from tests.support.load import Load
from tests.support.older_schema import OLDER_VERSIONS, downgrade_statements
from tests.support.people import create_person
from tests.support.polling import wait_until
from tests.support.processes import kill
from tests.support.stack import RunningStack, free_port

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def can_connect(socket: Path) -> bool:
    """Return True if a server answers; raise MySQLError otherwise."""
    connect_as_root(socket).close()
    return True


def load_for(site: ObservedCluster, seconds: float) -> Load:
    """Return a load that has ended, after an audit through the service."""
    with Load(site.stack.port, 1, clients=4) as load:
        time.sleep(seconds)
    load.audit()
    return load


def members_on_the_board(site: ObservedCluster) -> object:
    """Return the members that `top` shows."""
    return json.loads(site.stack.rinha("top", "--looks", "1").stdout)["members"]


def test_a_group_starts_again_after_a_full_stop_and_after_everything_was_killed(site: ObservedCluster) -> None:
    site.wait_for_members()
    load = load_for(site, 2)

    site.stack.down()
    site.stack.up()  # with the number of members that the data directory has
    assert site.audit(load.history) == []
    assert members_on_the_board(site) == [one.document() for one in site.members()]

    state = site.state
    kill(state.pid)
    for component in state.components.values():
        kill_group(component.pid)
    site.stack.up()
    assert site.audit(load.history) == []


def test_a_single_server_of_an_older_release_becomes_a_group_that_grows_under_load(tmp_path: Path) -> None:
    single = RunningStack(free_port(), tmp_path / "data")
    single.copy_new_database()
    single.up()
    before = [create_person(single.wire) for _ in range(50)]
    single.sql(downgrade_statements(OLDER_VERSIONS[-1]))
    single.down()

    with observed_cluster(single.data, members=2) as site:
        assert site.count_rows() == len(before)
        load = load_for(site, 2)
        assert site.audit(load.history) == []
        site.stack.down()
        site.stack.up("--members", "4")
        with Load(site.stack.port, 2, clients=4) as under_load:
            site.wait_for_members()
        under_load.audit()

        assert len(site.members()) == 4
        assert site.audit(load.history + under_load.history) == []
        assert not list(site.stack.data.glob("clone.*")), "a cloned member serves before its index is made"
        for number in range(1, 5):
            with connect_as_root(site.socket(number), database="rinha") as connection, connection.cursor() as cursor:
                cursor.execute("SELECT COUNT(*) FROM pessoas WHERE nome = %s", (before[0].json()["nome"],))
                assert cursor.fetchall()[0][0] >= 1


def test_the_group_refuses_to_start_if_no_member_has_all_transactions(tmp_path: Path) -> None:
    with observed_cluster(tmp_path / "data", members=2) as site:
        site.stack.down()
        group = MySQLGroup(site.directory, ignore_progress)
        for number, (_, command) in enumerate(group.commands(plan_capacity(1, 1)), 1):
            server = subprocess.Popen(command)
            try:
                wait_until(partial(can_connect, site.socket(number)), errors=(pymysql.MySQLError,))
                with connect_as_root(site.socket(number)) as connection, connection.cursor() as cursor:
                    cursor.execute("SET GLOBAL super_read_only = OFF")
                    cursor.execute(f"CREATE DATABASE only_{number}")
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait()

        completed = site.stack.rinha("up", "--detach", timeout=200)

        assert completed.returncode == 1
        assert "refusing to start: no member has all transactions: member 1 has " in completed.stdout
        assert len(site.directory.members) == 2
