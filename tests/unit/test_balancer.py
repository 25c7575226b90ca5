"""Which processes nginx is told of, and how, by the configuration that is rendered for a host."""

import re
from pathlib import Path

import pytest

import ops.stack.nginx

RUN = Path("/run/here")


def _servers(instances: int, workers: int) -> dict[str, dict[str, str]]:
    """Return the options of each process in each lane."""
    sockets = [[RUN / f"api{one}.{number}.sock" for number in range(1, workers + 1)] for one in range(1, instances + 1)]
    text = ops.stack.nginx.render(9999, sockets, RUN)
    lanes = {lane: re.search(f"upstream {lane} {{(.+?)}}", text, re.DOTALL) for lane in ops.stack.nginx.LANES}
    return {
        lane: dict(re.findall(r"^ +server unix:/run/here/(\S+)\.sock max_fails=0 (.+);$", block[1], re.MULTILINE))
        for lane, block in lanes.items()
        if block
    }


@pytest.mark.parametrize("instances", [1, 2, 3])
def test_the_first_process_of_a_lane_is_asked_while_it_is_idle_and_the_others_otherwise(instances: int) -> None:
    lanes = _servers(instances, 5)

    for lane, first, others in (("people", 1, (2, 3)), ("searches", 4, (5,))):
        options = f"max_conns={1000 // (instances * len(others))} backup"
        assert lanes[lane] == {f"api{one}.{first}": "max_conns=1" for one in range(1, instances + 1)} | {
            f"api{one}.{other}": options for one in range(1, instances + 1) for other in others
        }


@pytest.mark.parametrize("workers", range(2, 9))
def test_no_process_serves_searches_and_anything_else(workers: int) -> None:
    lanes = _servers(2, workers)

    assert not lanes["people"].keys() & lanes["searches"].keys()
    assert len(lanes["people"]) + len(lanes["searches"]) == 2 * workers


def test_what_is_rendered_for_the_processes_of_compose_is_what_compose_mounts() -> None:
    mounted = {
        lane: dict(re.findall(r"^ +server unix:/run/rinha/(\S+)\.sock max_fails=0 (.+);$", block, re.MULTILINE))
        for lane, block in re.findall(r"upstream (\w+) {(.+?)}", ops.stack.nginx.CONFIGURATION.read_text(), re.DOTALL)
    }

    assert mounted == _servers(2, 4)


@pytest.mark.parametrize("instances", [1, 2])
@pytest.mark.parametrize("workers", [1, 2])
def test_requests_wait_for_the_only_process_of_an_instance_in_a_lane(instances: int, workers: int) -> None:
    for lane, number in (("people", 1), ("searches", workers)):
        assert _servers(instances, workers)[lane] == {
            f"api{one}.{number}": f"max_conns={1000 // instances}" for one in range(1, instances + 1)
        }
