"""Control groups of both versions, as files."""

from pathlib import Path

import pytest

from ops.errors import OperatorError
from ops.system import cgroups as limits
from ops.system.cgroups import Consumption, Group, Limit

NAME = "5ca1ab1e"
VERSION_1 = {
    "cpu": {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n", "cpu.stat": "nr_periods 9\nnr_throttled 3\n"},
    "cpuacct": {"cpuacct.usage": "2500000000\n"},
    "memory": {
        "memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": "1000\n",
        "memory.stat": "inactive_file 1\ntotal_inactive_file 400\n",
    },
}  # fmt: skip
VERSION_2 = {
    "": {
        "cpu.max": "max 100000\n", "cpu.stat": "usage_usec 2500000\nnr_throttled 3\n", "memory.max": "max\n",
        "memory.current": "1000\n", "memory.stat": "inactive_file 400\n",
    },
}  # fmt: skip


@pytest.fixture(params=[1, 2])
def group(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Group:
    """Return a group that is called NAME, of process 7; process 8 is in another one, and there is no 9."""
    monkeypatch.setattr(limits, "ROOT", tmp_path / "groups")
    monkeypatch.setattr(limits, "PROCESSES", tmp_path)
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


def test_a_group_is_held_to_what_it_is_told(group: Group) -> None:
    assert group.limit() == Limit(0, 0)  # none

    group.set(Limit(0.17, 128 << 20))
    assert group.limit() == Limit(0.17, 128 << 20)

    group.set(Limit(0.005, 5 << 20))
    assert group.limit() == Limit(0.005, 5 << 20)


def test_what_a_group_uses_is_its_own_without_file_cache(group: Group) -> None:
    assert group.consumption() == Consumption(2.5, 600, 3)


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("pid", [8, 9])
def test_a_process_elsewhere_is_not_measured(pid: int) -> None:
    with pytest.raises(OperatorError, match=f"process {pid} is in no control group of {NAME} on this machine"):
        Group.of(pid, NAME)
