"""The reserve of disk makes MySQL read-only in time, for one server and for members on the same or on other disks."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from ops import ROOT
from tests.support.polling import wait_until
from tests.support.processes import make_program

MEGABYTE = 1 << 20
READ_ONLY = "--user=root --execute=SET GLOBAL read_only = ON\n"
# The next look at the disks waits until all members have rebuilt the table.
REBUILD = re.compile(
    "--user=root --execute=SET GLOBAL read_only = ON; SET SESSION group_replication_consistency = 'AFTER'; "
    "ALTER TABLE .* SET GLOBAL read_only = OFF\n"
)


class Reserve:
    """The script, with a client that writes down its statements, and disks with as much room as a test says."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        make_program(directory / "bin/mysql", f'echo "$@" >> "{directory}/statements"')
        make_program(directory / "bin/stat", f'echo >> "{directory}/looks"; cat "{directory}/disks"')
        make_program(directory / "bin/sleep", f"exec {os.path.realpath('/bin/sleep')} 0.02")

    @contextmanager
    def running(self, *servers: str) -> Iterator[None]:
        """Run the script for these data directories."""
        arguments = [f"{self._directory}/mark", *servers, "--", f"{self._directory}/bin/mysql", "--user=root"]
        environment = {"PATH": f"{self._directory}/bin:{os.environ['PATH']}"}
        with (self._directory / "messages").open("wb") as log:
            script = subprocess.Popen(["bash", ROOT / "db/reserve.sh", *arguments], env=environment, stderr=log)
        try:
            yield
        finally:
            script.kill()
            script.wait()

    def set_disks(self, *disks: tuple[str, int]) -> None:
        """Let each data directory be on a disk with so many free megabytes."""
        new = self._directory / "disks.new"
        lines = (f"{name} {megabytes} {MEGABYTE} /data/{n}\n" for n, (name, megabytes) in enumerate(disks, 1))
        new.write_text("".join(lines))
        new.rename(self._directory / "disks")

    def wait_for_looks(self, number: int = 5) -> None:
        """Wait until the script has looked at the disks a few times more."""
        end = self._looks() + number
        wait_until(lambda: self._looks() >= end)

    def _looks(self) -> int:
        looks = self._directory / "looks"
        return looks.stat().st_size if looks.exists() else 0

    def statements(self) -> str:
        """Return what MySQL was told."""
        statements = self._directory / "statements"
        return statements.read_text() if statements.exists() else ""

    def messages(self) -> list[str]:
        """Return what the operator was told."""
        return (self._directory / "messages").read_text().splitlines()


@pytest.fixture
def reserve(tmp_path: Path) -> Iterator[Reserve]:
    """Yield the script for three members, whose disks have room."""
    reserve = Reserve(tmp_path)
    reserve.set_disks(("1", 1000), ("1", 1000), ("1", 1000))
    with reserve.running("/data/1", "/data/2", "/data/3"):
        yield reserve


@pytest.mark.parametrize(
    ("disks", "message"),
    [
        ([("1", 767)] * 3, "768 MB are left on the disk; no person is stored until /data/1 "),
        ([("1", 9000), ("2", 255), ("3", 9000)], "256 MB are left on the disk; no person is stored until /data/2 "),
        ([("1", 9000), ("2", 511), ("2", 511)], "512 MB are left on the disk; no person is stored until /data/2 "),
        ([("1", 256), ("2", 256), ("3", 0)], "256 MB are left on the disk; no person is stored until /data/3 "),
    ],
    ids=["one disk", "a secondary's disk", "two on a disk", "full"],
)
def test_the_group_is_read_only_while_the_disk_of_any_member_is_nearly_full(
    reserve: Reserve, disks: list[tuple[str, int]], message: str
) -> None:
    reserve.set_disks(*disks)

    wait_until(lambda: reserve.statements().startswith(READ_ONLY * 2))  # again and again
    assert not REBUILD.search(reserve.statements())
    assert [message in one for one in reserve.messages()] == [True]


@pytest.mark.parametrize("disks", [[("1", 768)] * 3, [("1", 256), ("2", 256), ("3", 256)]], ids=["one disk", "three"])
def test_the_group_stores_people_while_each_member_has_its_reserve(
    reserve: Reserve, disks: list[tuple[str, int]]
) -> None:
    reserve.set_disks(*disks)
    reserve.wait_for_looks()

    assert reserve.statements() == ""


def test_the_table_is_rebuilt_once_when_all_disks_have_room_again(reserve: Reserve) -> None:
    reserve.set_disks(("1", 9000), ("2", 100), ("3", 100))
    wait_until(reserve.statements)
    for middle in (("3", 100), ("3", 288)):
        reserve.set_disks(("1", 9000), ("2", 9000), middle)
        reserve.wait_for_looks()
        assert not REBUILD.search(reserve.statements())

    reserve.set_disks(("1", 9000), ("2", 9000), ("3", 289))
    wait_until(lambda: REBUILD.search(reserve.statements()))
    reserve.wait_for_looks()

    assert len(REBUILD.findall(reserve.statements())) == 1


def test_without_its_data_directories_the_script_tells_mysql_nothing(reserve: Reserve) -> None:
    reserve.set_disks()
    reserve.wait_for_looks()

    assert reserve.statements() == ""


def test_in_containers_the_reserve_sees_the_data_of_each_member() -> None:
    services = yaml.safe_load((ROOT / "compose.cluster.yaml").read_text())["services"]
    script = services["group"]["entrypoint"][-1]
    members = [name for name in services if name.startswith("mysql")]

    watched = re.search(r"reserve\.sh \S+ (.+?) -- bash /db/primary\.sh ", script)
    assert watched
    mounted = {target: volume for volume, target, _ in (one.split(":") for one in services["group"]["volumes"][1:])}
    assert [mounted[directory] for directory in watched[1].split()] == [f"{member}-data" for member in members]
    assert all("/var/lib/mysql" in services[member]["volumes"][0] for member in members)
