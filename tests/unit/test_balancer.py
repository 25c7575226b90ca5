"""The included files of nginx's configuration name the workers of each lane."""

import re
from pathlib import Path

import pytest

from ops import ROOT
from ops.stack.capacity import NGINX_CONNECTIONS, OPEN_FILES, Capacity
from ops.stack.nginx import LANES, Files, included_files

CAPACITY = Capacity(16, 100, OPEN_FILES, NGINX_CONNECTIONS, waiting=1000, backlog=4096)


def _files(instances: int, workers: int, log_terms: bool = False) -> dict[str, str]:
    sockets = [
        [Path(f"/run/rinha/api{one}.{number}.sock") for number in range(1, workers + 1)]
        for one in range(1, instances + 1)
    ]
    files = Files("/dev/stderr", "/dev/stdout", Path("/usr/share/rinha/page"), log_terms)
    return included_files(["9999", "[::]:9999"], sockets, files, CAPACITY)


def _servers(instances: int, workers: int) -> dict[str, dict[str, str]]:
    """Return the options of each worker in each lane."""
    texts = _files(instances, workers)
    return {
        lane: dict(re.findall(r"^server unix:/run/rinha/(\S+)\.sock max_fails=0 (.+);$", texts[f"{lane}.conf"], re.M))
        for lane in LANES
    }


@pytest.mark.parametrize("instances", [1, 2, 3])
def test_a_request_goes_to_the_first_worker_of_a_lane_while_it_is_idle(instances: int) -> None:
    lanes = _servers(instances, 5)

    for lane, first, others in (("people", 1, (2, 3)), ("searches", 4, (5,))):
        options = f"max_conns={1000 // (instances * len(others))} backup"
        assert lanes[lane] == {f"api{one}.{first}": "max_conns=1" for one in range(1, instances + 1)} | {
            f"api{one}.{other}": options for one in range(1, instances + 1) for other in others
        }


@pytest.mark.parametrize("workers", range(2, 9))
def test_no_worker_serves_searches_and_other_requests(workers: int) -> None:
    lanes = _servers(2, workers)

    assert not lanes["people"].keys() & lanes["searches"].keys()
    assert len(lanes["people"]) + len(lanes["searches"]) == 2 * workers


@pytest.mark.parametrize("log_terms", [False, True])
@pytest.mark.parametrize("name", _files(2, 4))
def test_the_files_of_the_container_equal_the_files_of_up(name: str, log_terms: bool) -> None:
    def with_options(found: re.Match[str]) -> str:
        """Return the file that nginx's container copies: with IPv6 where the kernel has it, and for LOG_TERMS."""
        return (ROOT / f"lb/{found[1]}.conf").read_text() if "terms" not in found[1] or log_terms else ""

    text = re.sub(r"include /tmp/(\w+)\*\.conf;\n", with_options, (ROOT / "lb" / name).read_text())
    assert text == _files(2, 4, log_terms)[name]


@pytest.mark.parametrize("instances", [1, 2])
@pytest.mark.parametrize("workers", [1, 2])
def test_requests_wait_for_the_only_worker_of_an_instance_in_a_lane(instances: int, workers: int) -> None:
    for lane, number in (("people", 1), ("searches", workers)):
        assert _servers(instances, workers)[lane] == {
            f"api{one}.{number}": f"max_conns={1000 // instances}" for one in range(1, instances + 1)
        }
