"""compose.yaml as a compose project: started, inspected, and removed with everything it has."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import ROOT, environment
from ops.errors import OperatorError
from ops.polling import wait_until
from ops.system.ports import is_stack_serving

SERVICES = ("mysql", "api1", "api2", "nginx")
IMAGES = ("rinha", "rinha-mysql", "rinha-nginx")  # that compose.yaml builds
START_TIMEOUT = 180.0  # seconds, for an empty database on a slow machine
BUILD_TIMEOUT = 900.0  # seconds
INTERRUPT_TIMEOUT = 10.0  # seconds that an interrupted command has to end, and again after SIGINT
_INTERRUPTS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def find_engine(problem: Callable[[str], str] = lambda client: "") -> tuple[str, list[str]]:
    """Return the client and the compose command of the first usable container engine.

    `problem` returns why a client is not usable, or "". Raises OperatorError if no engine is usable.
    """
    problems = []
    for client, command, missing in _engines():
        if not (reason := missing or problem(client)):
            return client, command
        problems.append(reason)
    raise OperatorError("no containers here: " + "; ".join(problems))


def _engines() -> Iterator[tuple[str, list[str], str]]:
    """Yield each engine as (client, compose command, what is missing or "")."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    podman_compose = shutil.which("podman-compose", path=path)
    if not shutil.which("podman"):
        yield "podman", [], "podman is not installed"
    elif not podman_compose:
        yield "podman", [], "podman-compose is not installed"
    else:
        yield "podman", [podman_compose], ""
    if not shutil.which("docker"):
        yield "docker", [], "docker is not installed"
    elif run_command("docker", "compose", "version").returncode:
        yield "docker", [], "docker has no compose"
    elif run_command("docker", "info").returncode:
        yield "docker", [], "docker's daemon does not answer"
    else:
        yield "docker", ["docker", "compose"], ""


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

    client: str
    command: list[str]
    name: str
    port: int
    files: tuple[str, ...] = ("compose.yaml",)
    version: str = ""

    def compose(self, *arguments: str, timeout: float = 120.0, root: Path = ROOT) -> None:
        """Run a compose command in this checkout or another; raise OperatorError with its output if it fails."""
        completed = run_command(
            *self.command,
            *(word for file in self.files for word in ("--file", file)),
            *("--project-name", self.name),
            *arguments,
            timeout=timeout,
            cwd=root,
            RINHA_PORT=str(self.port),
            RINHA_VERSION=self.version or self.name,
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
            run_command(self.client, "image", "rm", *(f"localhost/{image}:{self.name}" for image in IMAGES))
            if remaining := self.remaining():
                raise OperatorError(f"{self.client} has kept of {self.name}: {', '.join(remaining)}")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def container(self, service: str) -> str:
        """Return the id of the container of a service."""
        labels = (f"label=com.docker.compose.project={self.name}", f"label=com.docker.compose.service={service}")
        listed = run_command(self.client, "ps", "--all", "--quiet", "--filter", labels[0], "--filter", labels[1])
        identifiers = listed.stdout.split()
        if len(identifiers) != 1:
            raise OperatorError(f"{len(identifiers)} containers of {service}: {listed.stderr}")
        return identifiers[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """Return the engine's description of the container of a service."""
        output = run_command(self.client, "inspect", self.container(service)).stdout
        document: list[dict[str, Any]] = json.loads(output)
        return document[0]

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service, as the container's user."""
        return run_command(self.client, "exec", self.container(service), *command)

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
        completed = run_command(self.client, "logs", self.container(service))
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
            found += run_command(self.client, *kind, "--quiet", "--filter", label).stdout.split()
        return found
