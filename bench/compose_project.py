"""compose.yaml as a compose project: started, inspected, and removed with everything it has."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ops import ROOT, environment
from ops.errors import OperatorError
from ops.polling import wait_until
from ops.system.ports import is_stack_serving

ENGINES = ("podman", "docker")  # in the order in which they are looked for
SERVICES = ("mysql", "api1", "api2", "nginx")
IMAGES = ("rinha", "rinha-mysql", "rinha-nginx")  # that compose.yaml builds
START_TIMEOUT = 180.0  # seconds, for an empty database on a slow machine
BUILD_TIMEOUT = 900.0  # seconds
INTERRUPT_TIMEOUT = 10.0  # seconds that an interrupted command has to end, and again after SIGINT
_INTERRUPTS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Engine(NamedTuple):
    """A container engine: the name of its client, and its compose command."""

    client: str
    command: list[str]

    def versions(self) -> str:
        """Return the versions of the engine and of its compose command."""
        owner = "Server" if self.client == "docker" else "Client"  # podman has no daemon
        engine = run_command(self.client, "version", "--format", f"{{{{.{owner}.Version}}}}").stdout.strip()
        compose = run_command(*self.command, "version", "--short").stdout.strip()
        return f"{self.client} {engine} with {' '.join(map(os.path.basename, self.command))} {compose}"


def find_engine(clients: Iterable[str] = ENGINES, problem: Callable[[str], str] = lambda client: "") -> Engine:
    """Return the first usable container engine.

    `problem` returns why a client is not usable, or "". Raises OperatorError if no engine is usable.
    """
    problems = []
    for client in clients:
        command, missing = _podman() if client == "podman" else _docker()
        if not (reason := missing or problem(client)):
            return Engine(client, command)
        problems.append(reason)
    raise OperatorError("no containers here: " + "; ".join(problems))


def _podman() -> tuple[list[str], str]:
    """Return podman's compose command, and what is missing or ""."""
    if not shutil.which("podman"):
        return [], "podman is not installed"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = shutil.which("podman-compose", path=path)
    return ([command], "") if command else ([], "podman-compose is not installed")


def _docker() -> tuple[list[str], str]:
    """Return docker's compose command, and what is missing or ""."""
    if not shutil.which("docker"):
        return [], "docker is not installed"
    if run_command("docker", "compose", "version").returncode:
        return [], "docker has no compose"
    if run_command("docker", "info").returncode:
        return [], "docker's daemon does not answer"
    return ["docker", "compose"], ""


def run_command(
    *command: str, timeout: float = 60.0, cwd: Path = ROOT, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command; if it is interrupted or exceeds `timeout` seconds, end all processes that it has started."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment.listed(*environment.ENGINE, **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C reaches us alone, and we remove the containers in order
    )
    try:
        output, errors = process.communicate(timeout=timeout)
    except BaseException as error:
        # First the command may end by itself: a killed build leaves parts in the engine's store. Then its whole process
        # group is ended: an engine's client that outlives its compose command creates what nothing removes.
        for number in (0, signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.communicate(timeout=INTERRUPT_TIMEOUT)
                break
        if isinstance(error, subprocess.TimeoutExpired):
            raise OperatorError(f"{' '.join(command)}: does not end in {timeout:g} s") from None
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def wait_for(condition: Callable[[], bool], description: str, timeout: float = 60.0) -> float:
    """Return the seconds until `condition` is true; raise OperatorError after `timeout` seconds."""
    return wait_until(condition, f"not within {timeout:g} s: {description}", timeout, interval=0.2)


@dataclass
class ComposeProject:
    """compose.yaml as a project with a name and a port."""

    engine: Engine
    name: str
    port: int
    files: tuple[str, ...] = ("compose.yaml",)
    version: str = ""

    def compose(self, *arguments: str, timeout: float = 120.0, root: Path = ROOT) -> None:
        """Run a compose command in this checkout or another; raise OperatorError with its output if it fails."""
        completed = run_command(
            *self.engine.command,
            *(word for file in self.files for word in ("--file", file)),
            *("--project-name", self.name),
            *arguments,
            timeout=timeout,
            cwd=root,
            RINHA_PORT=str(self.port),
            RINHA_VERSION=self.version or self.name,
            RINHA_BUILD_NETWORK=os.environ.get("RINHA_BUILD_NETWORK", "default"),
        )
        if completed.returncode:
            output = f"{completed.stdout[-4000:]}\n{completed.stderr[-4000:]}"
            raise OperatorError(f"compose {' '.join(arguments)}:\n{output}")

    def start(self) -> float:
        """Start all containers; return the seconds until the service answers."""
        started = time.monotonic()
        self.compose("up", "--detach", timeout=START_TIMEOUT)
        self.wait_until_serving()
        return time.monotonic() - started

    def wait_until_serving(self) -> None:
        """Wait until the started service answers; raise OperatorError if that takes too long."""
        # MySQL first: while it initialises, a temporary server may answer for a moment.
        wait_for(lambda: self.is_healthy("mysql"), "mysql is healthy", START_TIMEOUT)
        wait_for(lambda: is_stack_serving(self.port), "the service answers through its port", START_TIMEOUT)

    def remove(self) -> None:
        """Remove the containers, volumes, networks and images of the project. An interrupt waits until that is done."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        try:
            self.compose("down", "--volumes", "--timeout", "5", timeout=START_TIMEOUT)
            # An image that a later build has replaced has no name any more, and the label still.
            labelled = f"label=org.opencontainers.image.version={self.name}"
            unnamed = run_command(self.engine.client, "image", "ls", "--quiet", "--filter", labelled).stdout.split()
            images = [*(f"localhost/{image}:{self.name}" for image in IMAGES), *set(unnamed)]
            run_command(self.engine.client, "image", "rm", "--force", *images)
            if remaining := self.remaining():
                raise OperatorError(f"{self.engine.client} has kept of {self.name}: {', '.join(remaining)}")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def container(self, service: str) -> str:
        """Return the id of the container of a service."""
        labels = (f"label=com.docker.compose.project={self.name}", f"label=com.docker.compose.service={service}")
        listed = run_command(self.engine.client, "ps", "--all", "--quiet", "--filter", labels[0], "--filter", labels[1])
        identifiers = listed.stdout.split()
        if len(identifiers) != 1:
            raise OperatorError(f"{len(identifiers)} containers of {service}: {listed.stderr}")
        return identifiers[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """Return the engine's description of the container of a service."""
        output = run_command(self.engine.client, "inspect", self.container(service)).stdout
        document: list[dict[str, Any]] = json.loads(output)
        return document[0]

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service, as the container's user."""
        return run_command(self.engine.client, "exec", self.container(service), *command)

    def query(self, statement: str) -> str:
        """Return the result of a statement of MySQL's root: lines of columns that tabs separate."""
        script = 'MYSQL_PWD=$(cat /var/run/mysqld/root_password) exec mysql --user=root -N --execute="$1"'
        completed = self.run("mysql", "sh", "-c", script, "sh", statement)
        if completed.returncode:
            raise OperatorError(f"MySQL: {completed.stderr}")
        return completed.stdout

    def is_healthy(self, service: str) -> bool:
        """Run the container's health check now: podman does not run health checks by itself everywhere."""
        kind, *command = self.inspect(service)["Config"]["Healthcheck"]["Test"]
        return not self.run(service, *(["sh", "-c"] if kind == "CMD-SHELL" else []), *command).returncode

    def logs(self, service: str) -> str:
        """Return the log of the container of a service."""
        completed = run_command(self.engine.client, "logs", self.container(service))
        return completed.stdout + completed.stderr

    def recent_logs(self) -> str:
        """Return the end of each container's log, if it has one."""
        texts = []
        for service in SERVICES:
            try:
                texts.append(f"--- {service}\n" + "\n".join(self.logs(service).splitlines()[-40:]))
            except OperatorError as error:
                texts.append(f"--- {service}: {error}")
        return "\n".join(texts)

    def remaining(self) -> list[str]:
        """Return the ids of the containers, volumes and networks that the engine has of this project."""
        found = []
        for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
            label = f"label=com.docker.compose.project={self.name}"
            found += run_command(self.engine.client, *kind, "--quiet", "--filter", label).stdout.split()
        return found
