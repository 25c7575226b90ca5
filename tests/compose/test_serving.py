"""The containers serve people through the published port, and each container passes its health check."""

import json
import re

import pytest

from bench.compose_project import SERVICES, wait_for
from ops import ROOT
from tests.support.compose import BuiltProject

pytestmark = pytest.mark.timeout(1500)  # the first test builds the image


def test_people_can_be_created_read_found_and_counted(containers: BuiltProject) -> None:
    before = containers.count()

    people = [containers.create() for _ in range(20)]

    for person in people:
        containers.check_stored(person)
    assert containers.count() == before + len(people)


def test_both_instances_serve(containers: BuiltProject) -> None:
    for _ in range(20):
        containers.wire.request("GET", "/pessoas/00000000-0000-7000-8000-000000000000")

    def instances() -> set[str]:
        lines = [line for line in containers.logs("nginx").splitlines() if line.startswith("{")]
        return {name for line in lines for name in re.findall(r"/(api\d)\.", json.loads(line)["upstream"])}

    # nginx has no root and writes its log all the same: /dev/stdout belongs to the container's user.
    wait_for(lambda: instances() == {"api1", "api2"}, "both instances in the access log", 10)


@pytest.mark.parametrize("service", SERVICES)
def test_the_engine_finds_each_container_healthy(containers: BuiltProject, service: str) -> None:
    seconds = wait_for(lambda: containers.health(service)["Status"] == "healthy", f"{service} is healthy", 120)

    print(f"{service} was healthy after {seconds:.0f} s")


def test_mysql_runs_the_statements_of_start_sql(containers: BuiltProject) -> None:
    executed = containers.run("mysql", "cat", containers.query("SELECT @@init_file").strip()).stdout

    assert executed.endswith((ROOT / "db/start.sql").read_text())


@pytest.mark.parametrize("path", ["/", "/docs", "/page/page.js", "/page/swagger-ui-bundle.js"])
def test_the_load_balancers_image_has_the_page_and_the_api_browser(containers: BuiltProject, path: str) -> None:
    assert containers.wire.request("GET", path).status == 200


def test_the_image_has_labels_and_no_compiler(containers: BuiltProject) -> None:
    labels = containers.inspect("api1")["Config"]["Labels"]

    assert labels["org.opencontainers.image.version"] == containers.name
    for name in ("title", "description", "licenses", "source", "revision"):
        assert labels[f"org.opencontainers.image.{name}"]
    assert containers.run("api1", "sh", "-c", "command -v gcc cc").returncode
