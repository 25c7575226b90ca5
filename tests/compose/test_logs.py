"""The logs of the containers have no search terms and names."""

import pytest

from bench.compose_project import SERVICES, wait_for
from tests.support.compose import BuiltProject
from tests.support.people import create_person, new_nickname

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
