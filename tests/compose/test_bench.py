"""The contest's load on the containers, within the limits that compose.yaml states and the kernel applies."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from bench.compose_project import IMAGES, SERVICES, ComposeProject, Engine, run_command
from bench.compose_stack import ComposeStack
from ops.errors import OperatorError
from ops.system.cgroups import Group
from tests.support.bench import needs_java, run_bench
from tests.support.compose import BuiltProject, total_limits
from tests.support.stack import free_port, ops_command, ops_environment

pytestmark = pytest.mark.timeout(1500)


@needs_java
def test_the_load_is_played_on_containers_within_the_limits_of_compose_yaml(engine: Engine, tmp_path: Path) -> None:
    result = run_bench(tmp_path, "--compose", engine.client)

    assert engine.versions() in result["settings"]["stack"]
    cpus, memory = total_limits()
    assert result["limits"] == {"CPU": float(cpus), "MB": memory}
    assert set(result["resources"]) == {*SERVICES, "all"}
    for component, used in result["resources"].items():
        assert used["cpu_s"] > 0, component
        assert used["peak_mb"] > 1, component
    assert result["resources"]["mysql"]["peak_mb"] > 100
    assert result["resources"]["all"]["peak_mb"] < memory


@needs_java
def test_an_interrupted_run_leaves_no_container_volume_or_image(engine: Engine, tmp_path: Path) -> None:
    compose = ("--compose", engine.client)
    command = ops_command("bench", *compose, "--port", str(free_port()), "--data", str(tmp_path), "--duration", "60")
    output, name, during = "", "", list[str]()
    with subprocess.Popen(
        command, env=ops_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout
        for line in running.stdout:
            output += line
            if found := re.search(r"starting the containers of (\S+)", line):
                name = found[1]
            if "playing the load" in line:
                during = ComposeProject(engine, name, 0).remaining()
                running.send_signal(signal.SIGTERM)

    assert running.returncode == 128 + signal.SIGTERM, output
    assert len(during) >= len(SERVICES), "there were no containers"
    assert ComposeProject(engine, name, 0).remaining() == []
    for image in IMAGES:
        assert run_command(engine.client, "image", "inspect", f"localhost/{image}:{name}").returncode, image
    assert not list(tmp_path.glob("results.jsonl"))


def test_a_limit_that_the_kernel_does_not_apply_is_refused(containers: BuiltProject) -> None:
    container = containers.inspect("api2")
    group = Group.of(container["State"]["Pid"], container["Id"])
    limit = group.limit()
    stated = limit.cpus
    try:
        group.set(limit._replace(cpus=limit.cpus * 2))
    except OSError as error:
        pytest.skip(f"no limit can be changed here: {error}")
    try:
        with pytest.raises(
            OperatorError,
            match=rf"api2 by .* is not limited: stated are {stated:g} CPUs .* applied are {2 * stated:g} ",
        ):
            ComposeStack(containers)
    finally:
        group.set(limit)

    assert ComposeStack(containers).limits["api2"] == limit
