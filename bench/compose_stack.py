"""A stack of the containers of compose.yaml for one load."""

import contextlib
import math
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.compose_project import BUILD_TIMEOUT, SERVICES, ComposeProject, find_engine
from ops.console import Progress
from ops.errors import OperatorError
from ops.system.cgroups import PERIOD, Consumption, Group, Limit
from ops.system.ports import check_port


class ComposeStack:
    """The running containers of a project, each within the limits that compose.yaml states."""

    def __init__(self, project: ComposeProject) -> None:
        """Raise OperatorError if the kernel of this machine does not apply the limits of a container."""
        self._project = project
        self._groups: dict[str, Group] = {}
        limits = {}
        for service in SERVICES:
            container = project.inspect(service)
            if not container["State"]["Running"]:
                raise OperatorError(f"{service} does not run:\n{project.recent_logs()}")
            host = container["HostConfig"]
            cpus = host["NanoCpus"] / 1e9 or host["CpuQuota"] / (host["CpuPeriod"] or PERIOD)
            self._groups[service] = Group.of(container["State"]["Pid"], container["Id"])
            limits[service] = Limit(cpus, host["Memory"])
            check_limit(f"{service} by {project.engine.client}", limits[service], self._groups[service].limit())
        self.limits: Mapping[str, Limit] = limits
        environment = dict(setting.split("=", 1) for setting in project.inspect("api1")["Config"]["Env"])
        self.workers = int(environment["WORKERS"])
        self.versions = {"Python": project.run("api1", "python", "--version").stdout.split()[-1]}
        self.kind = f"the containers of compose.yaml, by {project.engine.versions()}"

    def consumption(self) -> Mapping[str, Consumption]:
        """Return what each container has used."""
        used = {}
        for service, group in self._groups.items():
            with contextlib.suppress(OSError):  # a container that restarts has no group for a moment
                used[service] = group.consumption()
        return used

    def query(self, statement: str) -> str:
        """Return the result of a statement of MySQL's root: lines of columns that tabs separate."""
        return self._project.query(statement)


def check_limit(name: str, stated: Limit, applied: Limit) -> None:
    """Raise OperatorError if the kernel applies another limit than the engine states, or none."""
    same = stated.memory == applied.memory and math.isclose(stated.cpus, applied.cpus, abs_tol=0.001)
    if not (same and stated.cpus and stated.memory):
        states, applies = (f"{limit.cpus:g} CPUs and {limit.memory >> 20} MB" for limit in (stated, applied))
        raise OperatorError(f"{name} is not limited: stated are {states}, applied are {applies} (0 is no limit)")


@contextmanager
def compose_stack(engines: Iterable[str], port: int, results: Path, progress: Progress) -> Iterator[ComposeStack]:
    """Build and start containers without people, and remove them with their volumes at the end of the context.

    The first usable engine runs them. If anything fails, the end of each container's log is in `results`. Raises
    OperatorError.
    """
    check_port(port)
    project = ComposeProject(find_engine(engines), f"rinha-bench-{secrets.token_hex(4)}", port)
    try:
        progress(f"building the image of {project.name}")
        project.compose("build", timeout=BUILD_TIMEOUT)
        progress(f"starting the containers of {project.name}")
        project.start()
        yield ComposeStack(project)
    except BaseException:
        log = results / "containers.txt"
        log.write_text(project.recent_logs())
        progress(f"the end of each container's log is in {log}")
        raise
    finally:
        progress(f"taking {project.name} away")
        project.remove()
