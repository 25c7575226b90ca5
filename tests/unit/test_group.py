"""The command lines and the numbers of a MySQL group, without a server."""

import os
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from ops import ROOT
from ops.errors import OperatorError
from ops.stack.capacity import SPARE_CONNECTIONS
from ops.stack.data_directory import MAX_PATH, DataDirectory
from ops.stack.group import CONNECTIONS
from ops.stack.members import choose_members
from service.config import MAX_SOCKET_PATH, Config, ConfigError
from service.group_watch import count_transactions


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path)
    directory.make()
    return directory


@pytest.mark.parametrize(
    ("gtids", "transactions"),
    [("", 0), ("a:1", 1), ("a:1-5", 5), ("a:1-5:7:9-10", 8), ("a:1-2, b:3", 3), ("a:tag:1-4:6", 5)],
)
def test_the_transactions_of_a_set_of_gtids_are_counted(gtids: str, transactions: int) -> None:
    assert count_transactions(gtids) == transactions


def test_a_data_directory_keeps_its_number_of_members(directory: DataDirectory) -> None:
    choose_members(directory, None)
    assert len(directory.members) == 1

    choose_members(directory, 3)
    choose_members(directory, None)

    assert len(directory.members) == 3


@pytest.mark.parametrize("length", [MAX_PATH, MAX_PATH + 1])
def test_the_sockets_of_members_can_be_reached_and_looking_for_them_opens_no_file(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("x" * (length - len(f"{tmp_path}/")))
    path.mkdir()
    directory = DataDirectory(path)
    directory.set_members(9)
    sockets = [member.mysql_socket for member in directory.members]
    before = os.listdir("/proc/self/fd")

    assert [member.mysql_socket for member in directory.members] == sockets
    assert os.listdir("/proc/self/fd") == before
    assert max(len(os.fsencode(socket)) for socket in sockets) <= MAX_SOCKET_PATH


def test_a_group_does_not_become_a_single_server(directory: DataDirectory) -> None:
    """People stored by one server alone would never reach the other members."""
    choose_members(directory, 3)

    with pytest.raises(OperatorError, match="group of 3 members"):
        choose_members(directory, 1)


def test_the_instances_get_the_sockets_of_all_members(directory: DataDirectory) -> None:
    assert directory.database_settings == {"db_socket": str(directory.mysql_socket)}
    choose_members(directory, 2)

    settings = directory.database_settings

    assert settings.keys() == {"db_hosts"}
    assert settings["db_hosts"].split(",") == [str(one.mysql_socket) for one in directory.members]


def test_a_group_in_containers_has_connections_for_its_workers() -> None:
    """Each worker of the two instances has two connections to a member, and a broken one may linger."""
    parser = ConfigParser(allow_no_value=True, inline_comment_prefixes=("#",), interpolation=None, strict=False)
    parser.read(ROOT / "db/member.cnf")

    assert int(parser["mysqld"]["max_user_connections"]) == 2 * 4 * CONNECTIONS + SPARE_CONNECTIONS


def test_no_settings_file_makes_a_group() -> None:
    """Each member that starts with bootstrap_group = ON makes a group of its own."""
    parser = ConfigParser(allow_no_value=True, inline_comment_prefixes=("#",), interpolation=None, strict=False)
    parser.read(ROOT / "db/member.cnf")

    assert "loose_group_replication_bootstrap_group" not in parser["mysqld"]
    assert parser["mysqld"]["loose_group_replication_start_on_boot"] == "OFF"


def test_the_list_of_databases_has_sockets_hosts_and_ports() -> None:
    config = Config.from_env({"DB_PASSWORD": "x", "DB_HOSTS": "/run/a.sock,b,c:3307,[::1]:3308,[fe80::1]"})

    assert [(one.db_socket, one.db_host, one.db_port) for one in config.members()] == [
        ("/run/a.sock", "127.0.0.1", 3306), ("", "b", 3306), ("", "c", 3307), ("", "::1", 3308), ("", "fe80::1", 3306),
    ]  # fmt: skip
    assert Config.from_env({"DB_PASSWORD": "x"}).members() == []


@pytest.mark.parametrize(("primary", "status"), [("b.sock", 0), ("none", 1)])
def test_a_statement_is_given_to_the_primary(tmp_path: Path, primary: str, status: int) -> None:
    client = tmp_path / "mysql"
    client.write_text(
        f'#!/bin/bash\nif [[ $* == *member_role* ]]; then [[ $* == *{primary}* ]] && echo PRIMARY; else echo "$@"; fi\n'
    )
    client.chmod(0o700)
    statement = "--execute=SET GLOBAL read_only = ON"

    command = ["bash", str(ROOT / "db/primary.sh"), "a.sock", "b.sock", "--", str(client), "--user=root", statement]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=10)

    assert completed.returncode == status
    assert completed.stdout == ("" if status else f"--user=root --socket=b.sock {statement}\n")


def test_the_settings_for_a_member_have_its_address_as_in_the_list() -> None:
    members = Config(db_password="x", db_hosts="/run/a.sock,b:3307").members()

    assert [member.db_hosts for member in members] == ["/run/a.sock", "b:3307"]


@pytest.mark.parametrize("hosts", ["a" * 301, "a,,b", "a, b", "a:0", "a:x", ",", "::1", "/a b", "[::1"])
def test_an_invalid_list_of_databases_is_refused(hosts: str) -> None:
    with pytest.raises(ConfigError, match="DB_HOSTS"):
        Config.from_env({"DB_PASSWORD": "x", "DB_HOSTS": hosts})
