"""The containers of compose.yaml: a project of its own name, looked into, and taken away with all it has."""

import contextlib
import json
import math
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import ROOT
from ops.errors import OperatorError
from ops.system.cgroups import PERIOD, Consumption, Group, Limit
from ops.system.ports import answers, check_port

SERVICES = ("mysql", "api1", "api2", "nginx")
STARTING = 180.0  # seconds for a start with an empty database on a slow machine
BUILDING = 900.0
ENDING = 10.0  # seconds that a command has to end by itself when it is interrupted, and again after SIGINT
_INTERRUPTS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def engine(problem: Callable[[str], str] = lambda client: "") -> tuple[str, list[str]]:
    """Return the client and the compose command of the first engine that has all it takes and no such problem.

    Raises OperatorError where there is none.
    """
    problems = []
    for client, command, lacking in _engines():
        if not (reason := lacking or problem(client)):
            return client, command
        problems.append(reason)
    raise OperatorError("no containers here: " + "; ".join(problems))


def _engines() -> Iterator[tuple[str, list[str], str]]:
    """Yield each engine as (client, compose command, what it lacks or '')."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    podman_compose = shutil.which("podman-compose", path=beside)
    if not shutil.which("podman"):
        yield "podman", [], "podman is not installed"
    elif not podman_compose:
        yield "podman", [], "podman-compose is not installed"
    else:
        yield "podman", [podman_compose], ""
    if not shutil.which("docker"):
        yield "docker", [], "docker is not installed"
    elif call("docker", "compose", "version").returncode:
        yield "docker", [], "docker has no compose"
    elif call("docker", "info").returncode:
        yield "docker", [], "docker's daemon does not answer"
    else:
        yield "docker", ["docker", "compose"], ""


def call(
    *command: str, timeout: float = 60.0, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; when that is interrupted or takes too long, end all that the command has started."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C in the terminal is for us alone: we take the containers down in order
    )
    try:
        output, errors = process.communicate(timeout=timeout)
    except BaseException as error:
        # At first it may end by itself: a killed build leaves halves in the engine's store. All of the group are ended,
        # as the engine's client goes on without the compose command that called it, and makes what nobody removes.
        for number in (0, signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.communicate(timeout=ENDING)
                break
        if isinstance(error, subprocess.TimeoutExpired):
            raise OperatorError(f"{' '.join(command)}: does not end in {timeout:g} s") from None
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 60.0) -> float:
    """Return the seconds after which `condition` held; raise OperatorError if it does not within `timeout`."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout:
            raise OperatorError(f"not within {timeout:g} s: {what}")
        time.sleep(0.2)
    return time.monotonic() - started


@dataclass
class Project:
    """compose.yaml as a project of its own name, on a port of its own."""

    client: str
    command: list[str]
    name: str
    port: int
    files: tuple[str, ...] = ("compose.yaml",)
    version: str = ""

    def compose(self, *arguments: str, timeout: float = 120.0, root: Path = ROOT) -> None:
        """Run a compose command in this checkout or another; raise OperatorError with what it said if it fails."""
        done = call(
            *self.command,
            *(word for file in self.files for word in ("--file", file)),
            *("--project-name", self.name),
            *arguments,
            timeout=timeout,
            cwd=root,
            RINHA_PORT=str(self.port),
            RINHA_VERSION=self.version or self.name,
        )
        if done.returncode:
            raise OperatorError(f"compose {' '.join(arguments)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")

    def start(self) -> float:
        """Start all containers; return the seconds until requests are answered."""
        started = time.monotonic()
        self.compose("up", "--detach", timeout=STARTING)
        # MySQL first: while it initialises, a temporary server may answer for a moment.
        wait_until(lambda: self.is_healthy("mysql"), "mysql is healthy", STARTING)
        wait_until(lambda: answers(self.port), "the service answers through its port", STARTING)
        return time.monotonic() - started

    def remove(self) -> None:
        """Take away everything of this project, the people and its image included; an interrupt waits for the end."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        try:
            self.compose("down", "--volumes", "--timeout", "5", timeout=STARTING)
            call(self.client, "image", "rm", f"localhost/rinha:{self.name}")
            if left := self.left():
                raise OperatorError(f"{self.client} has kept of {self.name}: {', '.join(left)}")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def container(self, service: str) -> str:
        """Return the id of the container of a service."""
        labels = (f"label=com.docker.compose.project={self.name}", f"label=com.docker.compose.service={service}")
        done = call(self.client, "ps", "--all", "--quiet", "--filter", labels[0], "--filter", labels[1])
        identifiers = done.stdout.split()
        if len(identifiers) != 1:
            raise OperatorError(f"{len(identifiers)} containers of {service}: {done.stderr}")
        return identifiers[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine knows of the container of a service."""
        document: list[dict[str, Any]] = json.loads(call(self.client, "inspect", self.container(service)).stdout)
        return document[0]

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside the container of a service, as the user it runs as."""
        return call(self.client, "exec", self.container(service), *command)

    def query(self, statement: str) -> str:
        """Return what MySQL's root gets for a statement: lines of columns with tabs between. Raises OperatorError."""
        script = 'MYSQL_PWD=$(cat /var/run/mysqld/root_password) exec mysql --user=root -N --execute="$1"'
        done = self.run("mysql", "sh", "-c", script, "sh", statement)
        if done.returncode:
            raise OperatorError(f"MySQL: {done.stderr}")
        return done.stdout

    def is_healthy(self, service: str) -> bool:
        """Run the container's health check, here and now: not every engine does so by itself."""
        kind, *command = self.inspect(service)["Config"]["Healthcheck"]["Test"]
        return not self.run(service, *(["sh", "-c"] if kind == "CMD-SHELL" else []), *command).returncode

    def logs(self, service: str) -> str:
        """Return what the container of a service has written."""
        done = call(self.client, "logs", self.container(service))
        return done.stdout + done.stderr

    def last_words(self) -> str:
        """Return the end of what each container has written, as far as there is one."""
        texts = []
        for service in SERVICES:
            try:
                texts.append(f"--- {service}\n" + "\n".join(self.logs(service).splitlines()[-40:]))
            except OperatorError as error:
                texts.append(f"--- {service}: {error}")
        return "\n".join(texts)

    def left(self) -> list[str]:
        """Return what of this project exists in the engine."""
        found = []
        for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
            label = f"label=com.docker.compose.project={self.name}"
            found += call(self.client, *kind, "--quiet", "--filter", label).stdout.split()
        return found


class Containers:
    """The running containers of a project, each within the limits that the engine has been told."""

    def __init__(self, project: Project) -> None:
        """Raise OperatorError if a container is not held to its limits, or not by this machine."""
        self._project = project
        self._groups = {}
        limits = {}
        for service in SERVICES:
            known = project.inspect(service)
            if not known["State"]["Running"]:
                raise OperatorError(f"{service} does not run:\n{project.last_words()}")
            host = known["HostConfig"]
            cpus = host["NanoCpus"] / 1e9 or host["CpuQuota"] / (host["CpuPeriod"] or PERIOD)
            self._groups[service] = Group.of(known["State"]["Pid"], known["Id"])
            limits[service] = Limit(cpus, host["Memory"])
            verify(f"{service} by {project.client}", limits[service], self._groups[service].limit())
        self.limits: Mapping[str, Limit] = limits
        environment = dict(word.split("=", 1) for word in project.inspect("api1")["Config"]["Env"])
        engine, python = call(project.client, "--version"), project.run("api1", "python", "--version")
        self.workers = int(environment["WORKERS"])
        self.versions = {"Python": python.stdout.split()[-1]}
        self.made_of = f"the containers of compose.yaml, by {engine.stdout.strip()}"

    def consumption(self) -> Mapping[str, Consumption]:
        """Return what each container uses."""
        used = {}
        for service, group in self._groups.items():
            with contextlib.suppress(OSError):  # one that is being started again has no group for a moment
                used[service] = group.consumption()
        return used

    def query(self, statement: str) -> str:
        """Return what MySQL's root gets for a statement: lines of columns with tabs between."""
        return self._project.query(statement)


def verify(name: str, stated: Limit, applied: Limit) -> None:
    """Raise OperatorError if what the kernel applies is not what the engine states, or is no limit."""
    same = stated.memory == applied.memory and math.isclose(stated.cpus, applied.cpus, abs_tol=0.001)
    if not (same and stated.cpus and stated.memory):
        states, applies = (f"{limit.cpus:g} CPUs and {limit.memory >> 20} MB" for limit in (stated, applied))
        raise OperatorError(f"{name} is not limited: stated are {states}, applied are {applies} (0 is no limit)")


@contextmanager
def containers(port: int, folder: Path, report: Callable[[str], None]) -> Iterator[Containers]:
    """Build and start containers with nobody stored, and take them away afterwards with all they have.

    If that or what is done meanwhile fails, what they said last is in `folder`.
    """
    check_port(port)
    project = Project(*engine(), f"rinha-bench-{secrets.token_hex(4)}", port)
    try:
        report(f"building the image of {project.name}")
        project.compose("build", timeout=BUILDING)
        report(f"starting the containers of {project.name}")
        project.start()
        yield Containers(project)
    except BaseException:
        words = folder / "containers.txt"
        words.write_text(project.last_words())
        report(f"what the containers said last: {words}")
        raise
    finally:
        report(f"taking {project.name} away")
        project.remove()
