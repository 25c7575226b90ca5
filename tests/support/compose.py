"""compose.yaml for the tests: what it says, a project of real containers, and clients of that project."""

import http.client
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from bench.compose_project import ComposeProject, run_command, wait_for
from ops import ROOT
from tests.support.client import Answer, OverTheWire
from tests.support.people import create_person, new_document

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
BASE_IMAGES = (
    "docker.io/library/python:3.13-slim",
    "docker.io/library/nginx:1.28",
    "docker.io/library/mysql:9.7",
)


def limits_of(service: str) -> tuple[Decimal, int]:
    """Return the CPUs and the megabytes that compose.yaml gives to a container."""
    limits = SERVICES[service]["deploy"]["resources"]["limits"]
    memory = re.fullmatch(r"(\d+)M", limits["memory"])
    assert memory, f"{service}: memory is not a number of M: {limits['memory']}"
    return Decimal(limits["cpus"]), int(memory[1])


def total_limits() -> tuple[Decimal, int]:
    """Return the CPUs and the megabytes of all containers together."""
    limits = [limits_of(service) for service in SERVICES]
    return sum((cpus for cpus, _ in limits), Decimal()), sum(memory for _, memory in limits)


def missing_images(client: str) -> str:
    """Return why a container client cannot build the project, "" if it can."""
    missing = [image for image in BASE_IMAGES if run_command(client, "image", "inspect", image).returncode]
    return f"{client} has no image {', '.join(missing)} (pull it first)" if missing else ""


@dataclass
class BuiltProject(ComposeProject):
    """A project whose containers run."""

    build_seconds: float = 0.0
    start_seconds: float = 0.0

    @property
    def wire(self) -> OverTheWire:
        """A client of the published port."""
        return OverTheWire(self.port, timeout=15)

    def create(self) -> dict[str, Any]:
        """Create a person; return it with its id."""
        person = new_document(nascimento="2000-02-29", stack=["C#", "Node"])
        answer = create_person(self.wire, **person)
        assert answer.status == 201, answer
        return {"id": answer.headers["location"].removeprefix("/pessoas/"), **person}

    def check_stored(self, person: dict[str, Any]) -> None:
        """Check that a person is found by id and by search."""
        by_id = self.wire.request("GET", f"/pessoas/{person['id']}")
        assert (by_id.status, by_id.json()) == (200, person)
        by_fragment = self.wire.request("GET", f"/pessoas?t={str(person['apelido'])[3:-3]}")
        assert (by_fragment.status, by_fragment.json()) == (200, [person])

    def count(self) -> int:
        """Return the number of people."""
        answer = self.wire.request("GET", "/contagem-pessoas")
        assert answer.status == 200, answer
        return int(answer.body)

    def health(self, service: str) -> dict[str, Any]:
        """Return the state of the health check as the engine has it: "Status", and "Log", the last results.

        Docker's daemon runs the checks. Podman leaves that to systemd, which may be absent, so it is told to run one.
        """
        if self.engine.client == "podman":
            run_command("podman", "healthcheck", "run", self.container(service))
        health: dict[str, Any] = self.inspect(service)["State"]["Health"]
        return health

    def replace(self, service: str, checkout: Path) -> None:
        """Replace a container as the README says; repeat that if podman keeps the old container, as it did once."""
        old = self.container(service)

        def is_replaced() -> bool:
            self.compose("up", "--detach", "--no-deps", "--force-recreate", service, root=checkout)
            return self.container(service) != old

        wait_for(is_replaced, f"{service} is replaced")


class ComposeClients:
    """Clients that create a person and read it, again and again, until the end of the context."""

    CLIENTS = 16  # so many that every instance always has requests in flight
    MAX_REQUESTS = 4000  # of one client
    # Seconds between two people of a client. Docker's proxy makes a connection to nginx for each request, and each port
    # that it used stays taken for a minute: without a pause, two tests take all 28,000 ports, and nginx is not reached.
    PAUSE = 0.06

    def __init__(self, project: BuiltProject) -> None:
        self.created = 0
        self.requests = 0
        self.failures: list[str] = []
        self.slowest = 0.0
        self._exhausted = False
        self._wire = project.wire
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        exhausted = self._exhausted
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert kind or not exhausted, "the clients had no requests left before the end"

    def check(self) -> None:
        """Check that no request failed, and that there were many."""
        print(f"{self.requests} requests, the slowest {self.slowest:.3f} s")
        assert not self.failures, f"{len(self.failures)} of {self.requests}: {self.failures[:5]}"
        assert self.requests > 500

    def _run(self) -> None:
        for _ in range(self.MAX_REQUESTS // 2):
            if self._stop.is_set():
                return
            answer = self._send(201, lambda: create_person(self._wire, stack=["C#", "Node"]))
            if answer and answer.status == 201:
                with self._lock:
                    self.created += 1
                path = answer.headers["location"]
                self._send(200, lambda: self._wire.request("GET", path))  # noqa: B023
            time.sleep(self.PAUSE)
        self._exhausted = True

    def _send(self, expected: int, request: Callable[[], Answer]) -> Answer | None:
        started = time.monotonic()
        answer, failure = None, ""
        try:
            answer = request()
            failure = "" if answer.status == expected else repr(answer)
        except (OSError, http.client.HTTPException) as error:
            failure = repr(error)
        with self._lock:
            self.requests += 1
            self.slowest = max(self.slowest, time.monotonic() - started)
            if failure:
                self.failures.append(failure)
        return answer
