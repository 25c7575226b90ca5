"""The containers of compose.yaml, built and started for the tests of this folder and removed after them."""

import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.client import OverTheWire
from tests.conftest import free_port

ROOT = Path(__file__).parents[2]
SERVICES = ("mysql", "api1", "api2", "nginx")
BASE_IMAGES = (
    "docker.io/library/python:3.13-slim",
    "docker.io/library/nginx:1.28",
    "docker.io/library/mysql:9.7",
)
STARTING = 180.0  # seconds for a start with an empty database on a slow machine
BUILDING = 900.0


def _engine() -> tuple[str, list[str]]:
    """Return the client and the compose command of an engine that has all it takes; without one, skip the test."""
    problems = []
    for client, command, problem in _engines():
        if not problem:
            return client, command
        problems.append(problem)
    pytest.skip("no containers here: " + "; ".join(problems))


def _engines() -> Iterator[tuple[str, list[str], str]]:
    """Yield each engine as (client, compose command, why it cannot be used or '')."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    podman_compose = shutil.which("podman-compose", path=beside)
    if not shutil.which("podman"):
        yield "podman", [], "podman is not installed"
    elif not podman_compose:
        yield "podman", [], "podman-compose is not installed"
    else:
        yield "podman", [podman_compose], _missing_image("podman")
    if not shutil.which("docker"):
        yield "docker", [], "docker is not installed"
    elif _call("docker", "compose", "version").returncode:
        yield "docker", [], "docker has no compose"
    elif _call("docker", "info").returncode:
        yield "docker", [], "docker's daemon does not answer"
    else:
        yield "docker", ["docker", "compose"], _missing_image("docker")


def _missing_image(client: str) -> str:
    missing = [image for image in BASE_IMAGES if _call(client, "image", "inspect", image).returncode]
    return f"{client} has no image {', '.join(missing)} (pull it first)" if missing else ""


def _call(
    *command: str, timeout: float = 60.0, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 60.0) -> float:
    """Return the seconds after which `condition` held; fail the test if it does not within `timeout`."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout:
            pytest.fail(f"not within {timeout:g} s: {what}")
        time.sleep(0.2)
    return time.monotonic() - started


@dataclass
class Containers:
    """compose.yaml as a project of its own name, on a port of its own."""

    client: str
    command: list[str]
    project: str
    port: int
    built: float = 0.0
    ready: float = 0.0
    files: tuple[str, ...] = ("compose.yaml",)
    version: str = ""

    def compose(self, *arguments: str, timeout: float = 120.0, root: Path = ROOT) -> None:
        """Run a compose command on this project, in this checkout or another; fail with its output if it fails."""
        done = _call(
            *self.command,
            *(word for file in self.files for word in ("--file", file)),
            *("--project-name", self.project),
            *arguments,
            timeout=timeout,
            cwd=root,
            RINHA_PORT=str(self.port),
            RINHA_VERSION=self.version or self.project,
        )
        assert not done.returncode, f"compose {' '.join(arguments)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"

    def start(self) -> float:
        """Start all containers; return the seconds until requests are answered."""
        started = time.monotonic()
        self.compose("up", "--detach", timeout=STARTING)
        # MySQL first: while it initialises, a temporary server may answer for a moment.
        wait_until(lambda: self.is_healthy("mysql"), "mysql is healthy", STARTING)
        wait_until(self.answers, "the service answers through its port", STARTING)
        return time.monotonic() - started

    def container(self, service: str) -> str:
        """Return the id of the container of a service."""
        labels = (f"label=com.docker.compose.project={self.project}", f"label=com.docker.compose.service={service}")
        done = _call(self.client, "ps", "--all", "--quiet", "--filter", labels[0], "--filter", labels[1])
        identifiers = done.stdout.split()
        assert len(identifiers) == 1, f"{len(identifiers)} containers of {service}: {done.stderr}"
        return identifiers[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine knows of the container of a service."""
        document: list[dict[str, Any]] = json.loads(_call(self.client, "inspect", self.container(service)).stdout)
        return document[0]

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside the container of a service, as the user it runs as."""
        return _call(self.client, "exec", self.container(service), *command)

    def is_healthy(self, service: str) -> bool:
        """Run the container's health check, here and now: not every engine does so by itself."""
        kind, *command = self.inspect(service)["Config"]["Healthcheck"]["Test"]
        return not self.run(service, *(["sh", "-c"] if kind == "CMD-SHELL" else []), *command).returncode

    def logs(self, service: str) -> str:
        """Return what the container of a service has written."""
        done = _call(self.client, "logs", self.container(service))
        return done.stdout + done.stderr

    def left(self) -> list[str]:
        """Return what of this project exists in the engine."""
        found = []
        for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
            label = f"label=com.docker.compose.project={self.project}"
            found += _call(self.client, *kind, "--quiet", "--filter", label).stdout.split()
        return found

    @property
    def wire(self) -> OverTheWire:
        """A client of the published port."""
        return OverTheWire(self.port, timeout=15)

    def answers(self) -> bool:
        """Tell whether the whole way to the database is open."""
        try:
            return self.wire.ask("GET", "/contagem-pessoas").status == 200
        except (OSError, http.client.HTTPException):
            return False


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    """The containers of compose.yaml, built and answering."""
    client, command = _engine()
    containers = Containers(client, command, f"rinha-test-{secrets.token_hex(4)}", free_port())
    try:
        started = time.monotonic()
        containers.compose("build", timeout=BUILDING)
        containers.built = time.monotonic() - started
        try:
            containers.ready = containers.start()
        except BaseException:
            print(_all_logs(containers))
            raise
        print(f"built in {containers.built:.1f} s, answered {containers.ready:.1f} s after the start")
        yield containers
    finally:
        containers.compose("down", "--volumes", timeout=180)
        _call(client, "image", "rm", f"localhost/rinha:{containers.project}")
    assert not containers.left()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the containers' logs with a test that failed."""
    report = yield
    containers = getattr(item, "funcargs", {}).get("containers")
    if report.failed and containers and report.when == "call":
        report.sections.append(("logs of the containers", _all_logs(containers)))
    return report


def _all_logs(containers: Containers) -> str:
    texts = []
    for service in SERVICES:
        try:
            texts.append(f"--- {service}\n" + "\n".join(containers.logs(service).splitlines()[-40:]))
        except (AssertionError, subprocess.TimeoutExpired) as error:
            texts.append(f"--- {service}: {error}")
    return "\n".join(texts)
