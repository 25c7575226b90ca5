"""Workers, connections, open files, queue and memory agree, or the start is refused with the numbers."""

import re
import resource
from typing import NamedTuple

import pytest
import yaml

from ops import ROOT
from ops.errors import OperatorError
from ops.stack import capacity
from ops.stack.budget import divide_budget
from ops.stack.capacity import Capacity, plan_capacity

GB = 1_000_000_000
MY_CNF = dict(re.findall(r"^(\w+) *= *(\w+)", (ROOT / "db/my.cnf").read_text(), re.MULTILINE))


class Situation(NamedTuple):
    """A machine, a stack, and the capacity of the stack or the words with which it is refused."""

    instances: int
    workers: int
    expected: Capacity | str
    open_files: int = 1_000_000
    memory: int = 8 * GB
    backlog: int = 4096
    limit: int = 0  # of all components together, in MB


SITUATIONS = (
    Situation(2, 4, Capacity(16, 100, 16384, 8000, 1000, 4096)),
    Situation(1, 1, Capacity(9, 100, 16384, 8000, 1000, 4096)),
    Situation(2, 64, Capacity(136, 146, 16384, 8000, 1000, 4096)),
    Situation(2, 64, Capacity(136, 146, 16384, 8000, 1000, 4096), open_files=resource.RLIM_INFINITY),
    Situation(2, 4, Capacity(16, 100, 4096, 4032, 504, 4096), open_files=4096),
    Situation(2, 4, Capacity(16, 100, 1024, 960, 120, 128), open_files=1024, backlog=128),
    Situation(2, 4, "2 x 4 workers need 1024 open files, and a process may open 256; raise ulimit -Hn", open_files=256),
    Situation(16, 64, r"16 x 64 workers need 1564 open files, .* 1024;", open_files=1024),
    Situation(64, 64, r"64 x 64 workers need 89600 MB on this machine, and there are 8000 MB; lower --workers"),
    Situation(2, 64, r"2 x 64 workers need 2824 MB on this machine, and there are 2000 MB", memory=2 * GB),
    Situation(2, 4, Capacity(16, 100, 16384, 8000, 1000, 4096), memory=GB // 2),
    Situation(2, 64, r"2 x 64 workers need 1310 MB for each instance, and there are 387 MB", limit=3072),
    Situation(2, 4, Capacity(16, 100, 16384, 8000, 1000, 4096), limit=1536),
    Situation(2, 1, r"2 x 1 workers need 886 MB for MySQL, and there are 692 MB", limit=1000),
)


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_the_capacity_is_derived_or_the_start_is_refused_with_the_numbers(
    monkeypatch: pytest.MonkeyPatch, situation: Situation
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1024, situation.open_files))
    monkeypatch.setattr(capacity, "_machine_memory", lambda: situation.memory)
    monkeypatch.setattr(capacity, "_backlog", lambda: situation.backlog)
    limits = divide_budget(1.5, situation.limit << 20, situation.instances) if situation.limit else None

    if isinstance(situation.expected, Capacity):
        assert plan_capacity(situation.instances, situation.workers, limits) == situation.expected
    else:
        with pytest.raises(OperatorError, match=situation.expected):
            plan_capacity(situation.instances, situation.workers, limits)


def test_the_constants_are_those_of_the_configuration_files() -> None:
    limits = (ROOT / "lb/limits.conf").read_text()

    assert int(MY_CNF["max_connections"]) == capacity.LEAST_CONNECTIONS
    assert int(MY_CNF["table_open_cache"]) * 2 == capacity.TABLE_FILES
    assert re.findall(r"\d+", limits) == [str(capacity.OPEN_FILES), str(capacity.NGINX_CONNECTIONS)]


def test_the_containers_agree_with_each_other() -> None:
    """compose.yaml has no supervisor that would derive one from the other."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    instances = [service["environment"] for service in services.values() if "LISTEN" in service.get("environment", {})]
    workers = [int(instance["WORKERS"]) for instance in instances]

    plan = plan_capacity(len(workers), workers[0])
    assert set(workers) == {workers[0]}
    assert int(MY_CNF["max_user_connections"]) == plan.user_connections
    assert int(MY_CNF["max_connections"]) == plan.connections
