"""The logs of the containers: they have no search terms and names, and `./rinha logs` joins them."""

from pathlib import Path

import pytest

from bench.compose_project import SERVICES, wait_for
from tests.support.compose import BuiltProject
from tests.support.people import create_person, new_nickname
from tests.support.stack import rinha

pytestmark = pytest.mark.timeout(1500)  # the first test builds the image


def test_terms_and_names_stand_in_no_log_of_a_container(containers: BuiltProject) -> None:
    mark = new_nickname()
    created = create_person(containers.wire, apelido=mark, nome=mark)
    paths = (f"/pessoas?t={mark}", f"/pessoas/{mark}", f"/{mark}", f"/pessoas?t={mark * 600}")

    answers = [
        containers.wire.request(method, path, mark.encode() * 1100) for path in paths for method in ("GET", "POST")
    ]

    assert created.status == 201
    last = answers[5].headers["x-request-id"]
    wait_for(lambda: last in containers.logs("nginx"), "the line of a request", 10)
    for service in SERVICES:
        assert mark not in containers.logs(service), service


def test_the_logs_of_the_containers_are_joined(containers: BuiltProject, tmp_path: Path) -> None:
    """The commands of docs/operations.md write the logs to the same files."""
    answer = containers.wire.request("GET", "/contagem-pessoas")
    identifier = answer.headers["x-request-id"]
    wait_for(lambda: identifier in containers.logs("nginx"), "the line of a request", 10)
    (tmp_path / "log").mkdir()
    for service, name in (("nginx", "nginx-access.log"), ("api1", "api1.log"), ("api2", "api2.log")):
        (tmp_path / "log" / name).write_text(containers.logs(service))

    shown = rinha("logs", "--data", str(tmp_path)).stdout

    (line,) = (line for line in shown.splitlines() if identifier in line)
    assert line.endswith("GET  /contagem-pessoas")
    assert "serving on" in shown
