"""compose.yaml as an operator runs it: real containers, through the published port."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.compose_project import BUILD_TIMEOUT, SERVICES, wait_for
from ops import ROOT
from ops.system.ports import is_stack_serving
from tests.compose.conftest import BuiltProject
from tests.integration.test_upgrade import older
from tests.support.client import Answer, post
from tests.support.people import nickname
from tests.support.stack import free_port

# One build on a slow machine takes longer than a test may.
pytestmark = pytest.mark.timeout(1500)

INSIDE = ("mysql", "api1", "api2")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())


def _somebody() -> dict[str, object]:
    return {"apelido": nickname(), "nome": "Ana", "nascimento": "2000-02-29", "stack": ["C#", "Node"]}


def _create(containers: BuiltProject) -> dict[str, object]:
    """Create a person and return it with its id."""
    person = _somebody()
    answer = post(containers.wire, "/pessoas", person)
    assert answer.status == 201, answer
    return {"id": answer.headers["location"].removeprefix("/pessoas/"), **person}


def _is_stored(containers: BuiltProject, person: dict[str, object]) -> None:
    by_id = containers.wire.ask("GET", f"/pessoas/{person['id']}")
    assert (by_id.status, by_id.json()) == (200, person)
    by_fragment = containers.wire.ask("GET", f"/pessoas?t={str(person['apelido'])[3:-3]}")
    assert (by_fragment.status, by_fragment.json()) == (200, [person])


def _count(containers: BuiltProject) -> int:
    answer = containers.wire.ask("GET", "/contagem-pessoas")
    assert answer.status == 200, answer
    return int(answer.body)


def test_people_can_be_created_read_found_and_counted(containers: BuiltProject) -> None:
    before = _count(containers)

    people = [_create(containers) for _ in range(20)]

    for person in people:
        _is_stored(containers, person)
    assert _count(containers) == before + len(people)


def test_both_instances_serve(containers: BuiltProject) -> None:
    for _ in range(20):
        containers.wire.ask("GET", "/pessoas/00000000-0000-7000-8000-000000000000")

    def instances() -> set[str]:
        lines = [line for line in containers.logs("nginx").splitlines() if line.startswith("{")]
        return {name for line in lines for name in re.findall(r"/(api\d)\.", json.loads(line)["upstream"])}

    # A container without root writes its log all the same: /dev/stdout is its own.
    wait_for(lambda: instances() == {"api1", "api2"}, "both instances in the access log", 10)


class Clients:
    """A few clients that create a person and read it back, over and over, until told to stop."""

    COUNT = 16  # enough that every instance always has requests in flight
    MOST = 4000  # requests of one client

    def __init__(self, containers: BuiltProject) -> None:
        self.created = 0
        self.requests = 0
        self.failures: list[str] = []
        self.slowest = 0.0
        self.exhausted = False
        self._wire = containers.wire
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.COUNT)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self) -> None:
        for _ in range(self.MOST // 2):
            if self._stop.is_set():
                return
            answer = self._count(201, lambda: post(self._wire, "/pessoas", _somebody()))
            if answer and answer.status == 201:
                with self._lock:
                    self.created += 1
                path = answer.headers["location"]
                self._count(200, lambda: self._wire.ask("GET", path))  # noqa: B023
        self.exhausted = True

    def _count(self, expected: int, ask: Callable[[], Answer]) -> Answer | None:
        started = time.monotonic()
        answer, failure = None, ""
        try:
            answer = ask()
            failure = "" if answer.status == expected else repr(answer)
        except (OSError, http.client.HTTPException) as error:
            failure = repr(error)
        with self._lock:
            self.requests += 1
            self.slowest = max(self.slowest, time.monotonic() - started)
            if failure:
                self.failures.append(failure)
        return answer


def test_restarting_the_instances_one_after_the_other_fails_no_request(containers: BuiltProject) -> None:
    before = _count(containers)
    started = {service: containers.inspect(service)["State"]["StartedAt"] for service in ("api1", "api2")}

    with Clients(containers) as clients:
        time.sleep(1)
        for service in started:
            # As `restart` does, but for Podman's Docker API, whose restart kills at once.
            containers.compose("stop", service)
            containers.compose("start", service)
            wait_for(lambda: containers.is_healthy(service), f"{service} is back")  # noqa: B023
        time.sleep(1)
        assert not clients.exhausted, "the clients had no requests left before the end"

    print(f"{clients.requests} requests, the slowest {clients.slowest:.3f} s")
    assert all(containers.inspect(service)["State"]["StartedAt"] != at for service, at in started.items())
    assert not clients.failures, f"{len(clients.failures)} of {clients.requests}: {clients.failures[:5]}"
    assert clients.requests > 500
    assert _count(containers) == before + clients.created


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return another checkout of this version."""
    shutil.copytree(ROOT, tmp_path / "checkout", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    shutil.copy(ROOT / ".dockerignore", tmp_path / "checkout")
    return tmp_path / "checkout"


def _replace(containers: BuiltProject, service: str, checkout: Path) -> None:
    """Do as the README says; again if podman has left the former in its place, as it once did."""
    former = containers.container(service)

    def is_replaced() -> bool:
        containers.compose("up", "--detach", "--no-deps", "--force-recreate", service, root=checkout)
        return containers.container(service) != former

    wait_for(is_replaced, f"{service} is replaced")


def test_a_new_version_replaces_the_instances_one_after_the_other_and_fails_no_request(
    containers: BuiltProject, checkout: Path
) -> None:
    app = checkout / "service/app.py"
    code, mark = app.read_text(), "# the new version"
    before = _count(containers)
    old = {service: containers.container(service) for service in SERVICES}

    app.write_text('raise ImportError("no such thing")\n')
    containers.compose("build", "api1", timeout=BUILD_TIMEOUT, root=checkout)

    with Clients(containers) as clients:
        _replace(containers, "api1", checkout)
        wait_for(lambda: "no such thing" in containers.logs("api1"), "the bad version does not start")
        assert not containers.is_healthy("api1")
        assert containers.container("api2") == old["api2"]

        app.write_text(code.replace("OPENAPI.read_bytes()", f"OPENAPI.read_bytes() + {mark.encode()!r}"))
        containers.compose("build", "api1", timeout=BUILD_TIMEOUT, root=checkout)
        for service in ("api1", "api2"):
            _replace(containers, service, checkout)
            wait_for(lambda: containers.is_healthy(service), f"{service} serves")  # noqa: B023
        time.sleep(1)

    print(f"{clients.requests} requests, the slowest {clients.slowest:.3f} s")
    assert not clients.failures, f"{len(clients.failures)} of {clients.requests}: {clients.failures[:5]}"
    assert not clients.exhausted, "the clients had no requests left before the end"
    assert clients.requests > 500
    assert _count(containers) == before + clients.created
    assert {containers.wire.ask("GET", "/openapi.yaml").body[-len(mark) :] for _ in range(40)} == {mark.encode()}
    assert {service for service in SERVICES if containers.container(service) != old[service]} == {"api1", "api2"}


@pytest.mark.parametrize("service", ["api1", "nginx", "mysql"])
def test_a_killed_part_comes_back_with_everybody(containers: BuiltProject, service: str) -> None:
    person = _create(containers)
    before = _count(containers)
    state = containers.inspect(service)["State"]

    try:
        # Not by the engine's own `kill`: that counts as stopped by the operator.
        os.kill(state["Pid"], signal.SIGKILL)
    except (PermissionError, ProcessLookupError) as error:
        pytest.skip(f"cannot kill a container's process from here: {error}")

    def is_back() -> bool:
        now = containers.inspect(service)["State"]
        return bool(now["Running"] and now["Pid"] != state["Pid"])

    seconds = wait_for(is_back, f"the restart policy starts {service} again", 60)
    seconds += wait_for(
        lambda: is_stack_serving(containers.port) and containers.is_healthy(service), f"{service} is ready"
    )
    print(f"{service} was back after {seconds:.1f} s")
    _is_stored(containers, person)
    assert _count(containers) == before
    _is_stored(containers, _create(containers))


@pytest.fixture
def small_disk(containers: BuiltProject, tmp_path: Path) -> Iterator[BuiltProject]:
    """Return the same containers once more, with MySQL's data on a file system of its own: 900 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=900m,uid=999,gid=999", "rinha", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be made here: {mounted.stderr.strip()}")
    override = tmp_path / "small.yaml"
    options = {"type": "none", "o": "bind", "device": str(disk)}
    override.write_text(yaml.safe_dump({"volumes": {"mysql-data": {"driver": "local", "driver_opts": options}}}))
    others = BuiltProject(
        containers.client, containers.command, f"{containers.name}-small", free_port(),
        files=("compose.yaml", str(override)), version=containers.name,
    )  # fmt: skip
    try:
        others.start()
        yield others
    finally:
        others.compose("down", "--volumes", timeout=180)
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    assert not others.remaining()


def test_a_full_disk_costs_answers_until_there_is_room_and_the_index_is_whole(small_disk: BuiltProject) -> None:
    def status() -> int:
        return post(small_disk.wire, "/pessoas", _somebody()).status

    def table() -> str:
        return small_disk.query("SELECT table_id FROM information_schema.innodb_tables WHERE name = 'rinha/pessoas'")

    person, before = _create(small_disk), table()
    fill = 'fallocate --length $(($(stat -f -c "%a * %S" .) - (10 << 20))) ballast'
    filled = small_disk.run("mysql", "sh", "-c", f"cd /var/lib/mysql && {fill}")
    assert filled.returncode == 0, filled.stderr

    wait_for(lambda: "reserve: less" in small_disk.logs("mysql"), "the reserve is seen to be used", 10)
    seconds = wait_for(lambda: status() == 503, "nobody is stored", 5)
    _is_stored(small_disk, person)
    assert [status() for _ in range(20)] == [503] * 20
    assert small_disk.run("mysql", "rm", "/var/lib/mysql/ballast").returncode == 0
    back = wait_for(lambda: status() == 201, "people are stored again", 30)

    print(f"refused after {seconds:.1f} s, stored again {back:.1f} s after there was room")
    _is_stored(small_disk, person)
    _is_stored(small_disk, _create(small_disk))
    assert before, "root may not ask"
    assert table() not in ("", before), "the table was not made anew"
    said = [line for line in small_disk.logs("mysql").splitlines() if line.startswith("reserve: ")]
    assert [line.split(";")[0].split(",")[0] for line in said] == [
        "reserve: less than 256 MB are left on the disk", "reserve: there is room on the disk again",
    ]  # fmt: skip


def test_data_of_an_older_release_are_brought_up_to_date(containers: BuiltProject) -> None:
    people = [_create(containers) for _ in range(10)]
    before = _count(containers)
    containers.query(f"USE rinha; {older(4)}")

    containers.compose("stop", "mysql")
    containers.compose("start", "mysql")
    wait_for(lambda: "the data has schema 6" in containers.logs("mysql"), "the data are upgraded", 60)
    wait_for(lambda: is_stack_serving(containers.port), "the service answers", 30)

    assert f"upgrading {before} people from schema 4 to schema 6" in containers.logs("mysql")
    assert _count(containers) == before
    for person in people:
        _is_stored(containers, person)
    _is_stored(containers, _create(containers))


def test_mysql_runs_the_statements_of_its_start(containers: BuiltProject) -> None:
    assert containers.query("SELECT @@init_file").strip() == "/db/start.sql"


def test_people_outlive_down_and_up(containers: BuiltProject) -> None:
    people = [_create(containers) for _ in range(10)]
    before = _count(containers)

    containers.compose("down", timeout=180)
    with pytest.raises(ConnectionRefusedError):
        containers.wire.ask("GET", "/contagem-pessoas")
    seconds = containers.start()

    print(f"answered {seconds:.1f} s after the second start")
    assert _count(containers) == before
    for person in people:
        _is_stored(containers, person)


def test_without_the_database_requests_are_told_to_come_back_and_recover_by_themselves(
    containers: BuiltProject,
) -> None:
    containers.compose("stop", "mysql")
    try:
        answer = containers.wire.ask("GET", "/contagem-pessoas")
        health = {service: containers.is_healthy(service) for service in ("api1", "api2", "nginx")}
    finally:
        containers.compose("start", "mysql")
    wait_for(lambda: is_stack_serving(containers.port), "the service answers again")

    assert (answer.status, answer.json()["status"]) == (503, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert health == {"api1": False, "api2": False, "nginx": True}
    _is_stored(containers, _create(containers))


@pytest.mark.parametrize("service", SERVICES)
def test_the_health_check_passes(containers: BuiltProject, service: str) -> None:
    assert containers.is_healthy(service)


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
            inside: [binding["HostPort"] for binding in outside]
            for inside, outside in (containers.inspect(service)["NetworkSettings"]["Ports"] or {}).items()
            if outside
        }
        for service in SERVICES
    }

    assert published == {"mysql": {}, "api1": {}, "api2": {}, "nginx": {"9999/tcp": [str(containers.port)]}}


@pytest.mark.parametrize("service", INSIDE)
def test_the_inside_has_no_network(containers: BuiltProject, service: str) -> None:
    lines = containers.run(service, "cat", "/proc/net/dev").stdout.splitlines()[2:]

    assert [line.split(":")[0].strip() for line in lines] == ["lo"]


@pytest.mark.parametrize("service", SERVICES)
def test_the_limits_are_in_force(containers: BuiltProject, service: str) -> None:
    limits = COMPOSE["services"][service]["deploy"]["resources"]["limits"]
    host = containers.inspect(service)["HostConfig"]
    cpus = host["NanoCpus"] / 1e9 or host["CpuQuota"] / host["CpuPeriod"]

    assert cpus == pytest.approx(float(limits["cpus"]), abs=0.001)
    assert host["Memory"] == int(limits["memory"].removesuffix("M")) * 1024 * 1024


def test_each_installation_has_passwords_of_its_own_and_the_api_only_sees_the_services(
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
    def as_service(statement: str) -> str:
        script = 'MYSQL_PWD=$(cat "$DB_PASSWORD_FILE") exec mysql --user=rinha --execute="$1" rinha'
        return containers.run("mysql", "sh", "-c", script, "sh", statement).stderr

    assert as_service("SELECT 1 FROM pessoas LIMIT 1") == ""
    for statement in ("DELETE FROM pessoas", "UPDATE pessoas SET nome = ''", "DROP TABLE pessoas", "TABLE mysql.user"):
        assert "denied" in as_service(statement), statement


def test_the_image_says_what_it_is(containers: BuiltProject) -> None:
    labels = containers.inspect("api1")["Config"]["Labels"]

    assert labels["org.opencontainers.image.version"] == containers.name
    for name in ("title", "description", "licenses", "source", "revision"):
        assert labels[f"org.opencontainers.image.{name}"]
    assert containers.run("api1", "sh", "-c", "command -v gcc cc").returncode
