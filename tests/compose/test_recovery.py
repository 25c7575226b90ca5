"""The containers recover from kills, restarts, a full disk and older data, and lose no person."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.compose_project import wait_for
from ops.errors import OperatorError
from ops.system.ports import is_stack_serving
from tests.support.compose import BuiltProject
from tests.support.contract import check_unavailable
from tests.support.older_schema import downgrade_statements
from tests.support.people import create_person
from tests.support.stack import free_port

pytestmark = pytest.mark.timeout(1500)  # the first test builds the image


def kill_and_wait(containers: BuiltProject, service: str) -> float:
    """Kill a container's process; return the seconds until the restart policy has started it; raise OperatorError."""
    state = containers.inspect(service)["State"]
    try:
        # The engine's own `kill` counts as a stop by the operator.
        os.kill(state["Pid"], signal.SIGKILL)
    except (PermissionError, ProcessLookupError) as error:
        pytest.skip(f"cannot kill a container's process from here: {error}")

    def is_restarted() -> bool:
        now = containers.inspect(service)["State"]
        return bool(now["Running"] and now["Pid"] != state["Pid"])

    return wait_for(is_restarted, f"the restart policy starts {service} again", 60)


@pytest.mark.parametrize("service", ["api1", "nginx", "mysql"])
def test_a_killed_container_is_restarted_and_loses_no_person(containers: BuiltProject, service: str) -> None:
    person = containers.create()
    before = containers.count()

    try:
        seconds = kill_and_wait(containers, service)
    except OperatorError:
        if containers.engine.client != "podman":
            raise
        # Podman 4.3 rarely leaves a killed container stopped (docs/operations.md). Start it as an operator does.
        print(f"podman left {service} stopped")
        containers.compose("start", service)
        seconds = kill_and_wait(containers, service)
    seconds += wait_for(
        lambda: is_stack_serving(containers.port) and containers.is_healthy(service), f"{service} is ready"
    )
    print(f"{service} was ready after {seconds:.1f} s")
    containers.check_stored(person)
    assert containers.count() == before
    containers.check_stored(containers.create())


@pytest.fixture
def small_disk(containers: BuiltProject, tmp_path: Path) -> Iterator[BuiltProject]:
    """Yield the same containers once more, with MySQL's data on a file system of 900 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=900m,uid=999,gid=999", "rinha", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be made here: {mounted.stderr.strip()}")
    override = tmp_path / "small.yaml"
    options = {"type": "none", "o": "bind", "device": str(disk)}
    override.write_text(yaml.safe_dump({"volumes": {"mysql-data": {"driver": "local", "driver_opts": options}}}))
    project = BuiltProject(
        containers.engine,
        f"{containers.name}-small",
        free_port(),
        files=("compose.yaml", str(override)),
        version=containers.name,
    )
    try:
        project.start()
        yield project
    finally:
        project.compose("down", "--volumes", timeout=180)
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    assert not project.remaining()


def test_a_full_disk_refuses_creations_until_there_is_space_and_then_rebuilds_the_table(
    small_disk: BuiltProject,
) -> None:
    def status() -> int:
        return create_person(small_disk.wire, stack=["C#", "Node"]).status

    def table() -> str:
        return small_disk.query("SELECT table_id FROM information_schema.innodb_tables WHERE name = 'rinha/pessoas'")

    person, before = small_disk.create(), table()
    fill = 'fallocate --length $(($(stat -f -c "%a * %S" .) - (10 << 20))) ballast'
    command = f"cd /var/lib/mysql && {fill}"
    # It fails if MySQL has written more since `stat` than it leaves.
    wait_for(lambda: small_disk.run("mysql", "sh", "-c", command).returncode == 0, "the disk is filled", 10)

    wait_for(lambda: "reserve: less" in small_disk.logs("mysql"), "the reserve is used", 10)
    seconds = wait_for(lambda: status() == 503, "creations are refused", 5)
    small_disk.check_stored(person)
    assert [status() for _ in range(20)] == [503] * 20
    assert small_disk.run("mysql", "rm", "/var/lib/mysql/ballast").returncode == 0
    stored_again = wait_for(lambda: status() == 201, "people are stored again", 30)

    print(f"refused after {seconds:.1f} s, stored again {stored_again:.1f} s after there was space")
    small_disk.check_stored(person)
    small_disk.check_stored(small_disk.create())
    assert before, "root may not read the id of the table"
    assert table() not in ("", before), "the table was not rebuilt"
    lines = [line for line in small_disk.logs("mysql").splitlines() if line.startswith("reserve: ")]
    assert [line.split(";")[0].split(",")[0] for line in lines] == [
        "reserve: less than 256 MB are left on the disk",
        "reserve: there is room on the disk again",
    ]


def test_data_of_an_older_release_are_upgraded(containers: BuiltProject) -> None:
    people = [containers.create() for _ in range(10)]
    before = containers.count()
    containers.query(f"USE rinha; {downgrade_statements(4)}")

    containers.compose("stop", "mysql")
    containers.compose("start", "mysql")
    wait_for(lambda: "the data has schema 6" in containers.logs("mysql"), "the data are upgraded", 60)
    wait_for(lambda: is_stack_serving(containers.port), "the service answers", 30)

    assert f"upgrading {before} people from schema 4 to schema 6" in containers.logs("mysql")
    assert containers.count() == before
    for person in people:
        containers.check_stored(person)
    containers.check_stored(containers.create())


def test_people_survive_down_and_up(containers: BuiltProject) -> None:
    people = [containers.create() for _ in range(10)]
    before = containers.count()

    containers.compose("down", timeout=180)
    with pytest.raises(ConnectionRefusedError):
        containers.wire.request("GET", "/contagem-pessoas")
    seconds = containers.start()

    print(f"answered {seconds:.1f} s after the second start")
    assert containers.count() == before
    for person in people:
        containers.check_stored(person)


def test_without_the_database_requests_are_answered_503_and_the_service_recovers_by_itself(
    containers: BuiltProject,
) -> None:
    def last_check(service: str) -> dict[str, Any]:
        """Return the last result of a health check: "Start", and "ExitCode"; None before the first."""
        results = containers.health(service)["Log"]
        return results[-1] if results else {"Start": None, "ExitCode": None}

    def instances() -> set[int | None]:
        return {last_check(service)["ExitCode"] for service in ("api1", "api2")}

    wait_for(lambda: instances() == {0}, "the engine finds both instances healthy", 120)
    containers.compose("stop", "mysql")
    try:
        answer = containers.wire.request("GET", "/contagem-pessoas")
        before = last_check("nginx")["Start"]
        wait_for(lambda: instances() == {1}, "the engine finds both instances unhealthy", 60)
        wait_for(lambda: last_check("nginx")["Start"] != before, "the engine checks nginx", 60)
        nginx = last_check("nginx")["ExitCode"]
    finally:
        containers.compose("start", "mysql")
    wait_for(lambda: is_stack_serving(containers.port), "the service answers again")

    check_unavailable(answer)
    assert nginx == 0
    wait_for(lambda: instances() == {0}, "the engine finds both instances healthy", 60)
    containers.check_stored(containers.create())
