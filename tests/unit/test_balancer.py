"""Which processes nginx is told of, and how, by the configuration that is rendered for a host."""

import re
from pathlib import Path

import pytest

import lb.server

RUN = Path("/run/here")


def _servers(instances: int, workers: int) -> dict[str, str]:
    sockets = [[RUN / f"api{one}.{number}.sock" for number in range(1, workers + 1)] for one in range(1, instances + 1)]
    text = lb.server.render(9999, sockets, RUN)
    return dict(re.findall(r"^ +server unix:/run/here/(\S+)\.sock max_fails=0 (.+);$", text, re.MULTILINE))


@pytest.mark.parametrize("instances", [1, 2, 3])
def test_the_first_process_of_each_instance_is_asked_while_it_is_idle_and_the_others_otherwise(instances: int) -> None:
    expected = {f"api{one}.1": "max_conns=1" for one in range(1, instances + 1)}
    others = f"max_conns={1000 // instances} backup"
    expected |= {f"api{one}.{other}": others for one in range(1, instances + 1) for other in (2, 3)}

    assert _servers(instances, 3) == expected


@pytest.mark.parametrize("instances", [1, 2])
def test_requests_wait_for_the_only_process_of_an_instance(instances: int) -> None:
    assert _servers(instances, 1) == {
        f"api{one}.1": f"max_conns={2000 // instances}" for one in range(1, instances + 1)
    }
