"""The containers are confined: no root, no capability, no writable system, no network inside, limits in force."""

import json
import re

import pytest

from bench.compose_project import SERVICES
from ops.system.cgroups import Group
from tests.support.compose import BuiltProject, limits_of

pytestmark = pytest.mark.timeout(1500)  # the first test builds the image

WITHOUT_NETWORK = ("mysql", "api1", "api2")


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_confined(containers: BuiltProject, service: str) -> None:
    text = containers.run(service, "cat", "/proc/1/status").stdout
    status = dict(line.split(":", 1) for line in text.splitlines())

    assert "0" not in status["Uid"].split()
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"].strip() == "1"
    assert containers.inspect(service)["HostConfig"]["ReadonlyRootfs"]
    for path in ("/probe", "/etc/probe", "/usr/bin/probe", "/var/probe"):
        assert "Read-only file system" in containers.run(service, "touch", path).stderr


def test_only_the_load_balancer_has_a_port_and_only_one(containers: BuiltProject) -> None:
    published = {
        service: {
            inside: {binding["HostPort"] for binding in outside}  # Docker has a binding for IPv4 and one for IPv6
            for inside, outside in (containers.inspect(service)["NetworkSettings"]["Ports"] or {}).items()
            if outside
        }
        for service in SERVICES
    }

    assert published == {"mysql": {}, "api1": {}, "api2": {}, "nginx": {"9999/tcp": {str(containers.port)}}}


@pytest.mark.parametrize("service", WITHOUT_NETWORK)
def test_mysql_and_the_instances_have_no_network(containers: BuiltProject, service: str) -> None:
    lines = containers.run(service, "cat", "/proc/net/dev").stdout.splitlines()[2:]

    assert [line.split(":")[0].strip() for line in lines] == ["lo"]


@pytest.mark.parametrize("service", SERVICES)
def test_the_kernel_applies_the_limits_of_compose_yaml(containers: BuiltProject, service: str) -> None:
    cpus, megabytes = limits_of(service)
    container = containers.inspect(service)

    applied = Group.of(container["State"]["Pid"], container["Id"]).limit()

    assert applied.cpus == pytest.approx(float(cpus), abs=0.001)
    assert applied.memory == megabytes << 20


@pytest.mark.parametrize("service", SERVICES)
def test_the_log_of_a_container_is_bounded(containers: BuiltProject, service: str) -> None:
    log = containers.inspect(service)["HostConfig"]["LogConfig"]

    assert log["Type"] in ("json-file", "k8s-file")
    sizes = {"Docker": (log["Config"] or {}).get("max-size"), "Podman": log.get("Size")}
    assert "50m" in sizes.values() or "50MB" in sizes.values(), log


def test_each_installation_has_random_passwords_and_the_api_sees_only_that_of_the_service(
    containers: BuiltProject,
) -> None:
    directory = "/var/run/mysqld"
    passwords = containers.run("mysql", "cat", f"{directory}/password", f"{directory}/root_password").stdout.split()

    assert len(set(passwords)) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", password) for password in passwords)
    assert containers.run("api1", "cat", f"{directory}/password").stdout.split() == passwords[:1]
    assert "Permission denied" in containers.run("api1", "cat", f"{directory}/root_password").stderr
    for service in SERVICES:
        assert not any(password in json.dumps(containers.inspect(service)) for password in passwords)
        assert not any(password in containers.logs(service) for password in passwords)


def test_the_service_may_read_and_add_people_and_nothing_else(containers: BuiltProject) -> None:
    def error_of(statement: str) -> str:
        script = 'MYSQL_PWD=$(cat "$DB_PASSWORD_FILE") exec mysql --user=rinha --execute="$1" rinha'
        return containers.run("mysql", "sh", "-c", script, "sh", statement).stderr

    assert error_of("SELECT 1 FROM pessoas LIMIT 1") == ""
    for statement in ("DELETE FROM pessoas", "UPDATE pessoas SET nome = ''", "DROP TABLE pessoas", "TABLE mysql.user"):
        assert "denied" in error_of(statement), statement
