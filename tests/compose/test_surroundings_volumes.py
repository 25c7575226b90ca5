"""MySQL's container starts on volumes of another user, of another installation, and of an interrupted first start."""

import os
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bench.compose_project import BUILD_TIMEOUT, START_TIMEOUT, run_command, wait_for
from ops.polling import wait_until
from tests.support.compose import BuiltProject
from tests.support.stack import free_port

pytestmark = pytest.mark.timeout(1500)  # the first test builds the image

MYSQL = "docker.io/library/mysql:9.7"


def complaints(project: BuiltProject) -> list[str]:
    """Return the lines of MySQL's container about volumes to which its user may not write."""
    return [line for line in project.logs("mysql").splitlines() if "may not write" in line]


def follow(complaint: str) -> None:
    """Run the command that a line names."""
    command = re.fullmatch(
        r"mysql: user 999 may not write to \S+, which belongs to user 0; give it the volume: (.+)", complaint
    )
    assert command, complaint
    completed = run_command(*shlex.split(command[1]))
    assert completed.returncode == 0, completed.stderr


@pytest.mark.parametrize("volume", ["mysql-data", "mysql-run"])
def test_a_volume_that_root_has_restored_is_named_with_the_command_that_mends_it(
    containers: BuiltProject, volume: str
) -> None:
    person = containers.create()
    containers.compose("stop", "mysql")
    root = ["run", "--rm", "--user=root", f"--volume={containers.name}_{volume}:/volume", MYSQL]
    given = run_command(containers.engine.client, *root, "chown", "--recursive", "root:root", "/volume")
    assert given.returncode == 0, given.stderr
    before = len(complaints(containers))

    containers.compose("start", "mysql")
    wait_for(lambda: len(complaints(containers)) > before, "the container says what is wrong")
    containers.compose("stop", "mysql")
    stopped = containers.inspect("mysql")["State"]["ExitCode"]
    containers.compose("start", "mysql")
    wait_for(lambda: len(complaints(containers)) > before + 1, "the container says so again")
    follow(complaints(containers)[-1])
    containers.wait_until_serving()

    assert stopped != 137, "the container did not end by itself"
    assert len(complaints(containers)) == before + 2, "more than one line for each start"
    containers.check_stored(person)
    containers.check_stored(containers.create())


def test_data_are_served_with_the_passwords_of_another_installation(containers: BuiltProject) -> None:
    person = containers.create()

    containers.compose("down", timeout=180)
    removed = run_command(containers.engine.client, "volume", "rm", f"{containers.name}_mysql-run")
    assert removed.returncode == 0, removed.stderr
    containers.start()

    containers.check_stored(person)
    containers.check_stored(containers.create())


@pytest.fixture
def new_project(containers: BuiltProject) -> Iterator[BuiltProject]:
    """Yield the project with another name and without volumes, not started."""
    name = f"{containers.name}-new"
    project = BuiltProject(containers.engine, name, free_port(), version=containers.name)
    try:
        yield project
    finally:
        project.compose("down", "--volumes", timeout=180)
    assert not project.remaining()


@pytest.mark.parametrize("made", ["ibdata1", "mysql.ibd", "rinha/contagem.ibd", "rinha/pessoas.ibd"])
def test_a_first_start_that_was_killed_is_completed_by_the_next(new_project: BuiltProject, made: str) -> None:
    new_project.compose("up", "--detach", timeout=START_TIMEOUT)
    pid = new_project.inspect("mysql")["State"]["Pid"]
    data = Path(f"/proc/{pid}/root/var/lib/mysql")
    try:
        wait_until((data / made).exists, f"{made} is not made", START_TIMEOUT, interval=0.01)
        complete = not (data / ".unfinished").exists()
        os.kill(pid, signal.SIGKILL)
    except PermissionError as error:
        pytest.skip(f"cannot look into a container and kill its process from here: {error}")
    new_project.wait_until_serving()

    assert not complete, "the container was killed too late"
    new_project.check_stored(new_project.create())
    assert new_project.run("mysql", "test", "-e", "/var/lib/mysql/.unfinished").returncode == 1


@pytest.fixture
def foreign_image(containers: BuiltProject, tmp_path: Path) -> Iterator[BuiltProject]:
    """Yield the project, not started, with an image of MySQL whose directory for the socket belongs to root."""
    image = f"localhost/rinha-mysql:{containers.name}"
    client = containers.engine.client
    containerfile = tmp_path / "Containerfile"
    containerfile.write_text(
        f"FROM {containers.inspect('mysql')['Config']['Image']}\n"
        "USER root\n"
        "RUN chown root:root /var/run/mysqld && chmod 755 /var/run/mysqld\n"
    )
    build = [client, "build", "--network=none", f"--tag={image}", f"--file={containerfile}", str(tmp_path)]
    built = run_command(*build, timeout=BUILD_TIMEOUT)
    assert built.returncode == 0, built.stderr
    override = tmp_path / "foreign.yaml"
    override.write_text(yaml.safe_dump({"services": {"mysql": {"image": image}}}))
    project = BuiltProject(
        containers.engine,
        f"{containers.name}-foreign",
        free_port(),
        files=("compose.yaml", str(override)),
        version=containers.name,
    )
    try:
        yield project
    finally:
        project.compose("down", "--volumes", timeout=180)
        run_command(client, "image", "rm", image)
    assert not project.remaining()


def test_mysql_starts_whoever_owns_the_directory_of_its_socket_in_the_image(foreign_image: BuiltProject) -> None:
    foreign_image.compose("up", "--detach", timeout=START_TIMEOUT)
    # Some engines give a new volume to the container's user, although the directory in the image is root's.
    wait_for(lambda: bool(complaints(foreign_image) or foreign_image.is_healthy("mysql")), "one or the other")
    for complaint in complaints(foreign_image):
        follow(complaint)
    foreign_image.wait_until_serving()

    foreign_image.check_stored(foreign_image.create())
    assert len(complaints(foreign_image)) <= 1
