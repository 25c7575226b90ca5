"""Control groups, in both versions, as files."""

from pathlib import Path

import pytest

from ops.errors import OperatorError
from ops.stack.budget import divide_budget
from ops.system import cgroups
from ops.system.cgroups import Consumption, ControlGroups, Group, Limit

NAME = "5ca1ab1e"
VERSION_1 = {
    "cpu": {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n", "cpu.stat": "nr_periods 9\nnr_throttled 3\n"},
    "cpuacct": {"cpuacct.usage": "2500000000\n"},
    "memory": {
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.usage_in_bytes": "1000\n",
        "memory.stat": "inactive_file 1\ntotal_inactive_file 400\n",
    },
}
VERSION_2 = {
    "": {
        "cpu.max": "max 100000\n",
        "cpu.stat": "usage_usec 2500000\nnr_throttled 3\n",
        "memory.max": "max\n",
        "memory.current": "1000\n",
        "memory.stat": "inactive_file 400\n",
    },
}


@pytest.fixture(params=[1, 2])
def group(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Group:
    """Return the group NAME of process 7. Process 8 is in another group, and there is no process 9."""
    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "groups")
    monkeypatch.setattr(cgroups, "PROCESSES", tmp_path)
    version = VERSION_1 if request.param == 1 else VERSION_2
    for controller, files in version.items():
        directory = tmp_path / "groups" / controller / f"engine/{NAME}.scope"
        directory.mkdir(parents=True)
        for name, text in files.items():
            (directory / name).write_text(text)
    if request.param == 2:
        (tmp_path / "groups/cgroup.controllers").touch()
    (tmp_path / "7").mkdir()
    lines = (f"12:memory:/engine/{NAME}.scope", "3:cpu,cpuacct:/elsewhere", "0::/")
    (tmp_path / "7/cgroup").write_text(
        "\n".join(lines if request.param == 1 else [f"0::/engine/{NAME}.scope/container"])
    )
    (tmp_path / "8").mkdir()
    (tmp_path / "8/cgroup").write_text("12:memory:/other\n0::/other\n")
    return Group.of(7, NAME)


def test_a_group_applies_the_limit_that_is_set(group: Group) -> None:
    assert group.limit() == Limit(0, 0)  # none

    group.set(Limit(0.17, 128 << 20))
    assert group.limit() == Limit(0.17, 128 << 20)

    group.set(Limit(0.005, 5 << 20))
    assert group.limit() == Limit(0.005, 5 << 20)


def test_the_consumption_of_a_group_excludes_the_file_cache(group: Group) -> None:
    assert group.consumption() == Consumption(2.5, 600, 3)


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("pid", [8, 9])
def test_a_process_elsewhere_is_not_measured(pid: int) -> None:
    with pytest.raises(OperatorError, match=f"process {pid} is in no control group of {NAME} on this machine"):
        Group.of(pid, NAME)


def test_limits_without_permission_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A result is never reported as limited without limits."""
    (tmp_path / "cpu").write_text("a file, so no group can be made in it")
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)

    with pytest.raises(OperatorError, match="run as root, or use compose"):
        ControlGroups(1).make(divide_budget(1.5, 3 << 30, 2))
