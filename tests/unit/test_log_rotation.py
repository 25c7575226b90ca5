"""Logs are renamed when they have reached their size, and all files together have a bound."""

import os
import subprocess
from pathlib import Path

import pytest

from ops import ROOT
from ops.stack.logs import KEPT, Logs
from tests.support.polling import wait_until
from tests.support.processes import make_program

ACCESS = "nginx-access.log"
LIMIT = 1000  # bytes: a file of the access log has 100, one of the two other logs 50


def sizes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in directory.iterdir()}


def write(log: Path, size: int) -> None:
    with log.open("ab") as output:
        output.write(b"a" * size)


def command_of_child(pid: int) -> str:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return Path(f"/proc/{children[0]}/comm").read_text() if children else ""


def test_a_log_is_renamed_at_its_size_and_not_before(tmp_path: Path) -> None:
    for name, size in ((ACCESS, 99), ("api1.log", 49), ("mysql.log", 50)):
        write(tmp_path / name, size)

    Logs(tmp_path, LIMIT).rotate()

    assert sizes(tmp_path) == {ACCESS: 99, "api1.log": 49, "mysql.log.1": 50}


def test_the_newest_files_of_a_log_are_kept_in_order(tmp_path: Path) -> None:
    logs = Logs(tmp_path, LIMIT)
    for number in range(KEPT + 3):
        (tmp_path / ACCESS).write_text(f"{number:100}")
        logs.rotate()

    kept = [(tmp_path / f"{ACCESS}.{number}").read_text().strip() for number in range(1, KEPT + 1)]
    assert kept == [str(number) for number in range(KEPT + 2, 2, -1)]
    assert len(sizes(tmp_path)) == KEPT


def test_all_files_together_stay_below_the_limit_whatever_is_written(tmp_path: Path) -> None:
    logs = Logs(tmp_path, LIMIT)
    for turn in range(200):
        for name, size in ((ACCESS, 90), ("api1.log", 30), ("mysql.log", turn % 50)):
            write(tmp_path / name, size)
        logs.rotate()

        assert sum(sizes(tmp_path).values()) <= LIMIT
        assert turn < 10 or f"{ACCESS}.{KEPT - 2}" in sizes(tmp_path)


def test_a_lower_limit_removes_the_oldest_files_first(tmp_path: Path) -> None:
    for age, name in enumerate((ACCESS, f"{ACCESS}.1", "api1.log.1", f"{ACCESS}.2", "api1.log.2")):
        write(tmp_path / name, 40)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))

    Logs(tmp_path, 130).rotate()

    assert set(sizes(tmp_path)) == {f"{ACCESS}.1", f"{ACCESS}.2", "api1.log.1"}


def test_an_idle_process_that_has_a_removed_file_open_holds_no_disk(tmp_path: Path) -> None:
    write(tmp_path / ACCESS, 100)
    with (tmp_path / ACCESS).open("ab") as idle:
        logs = Logs(tmp_path, LIMIT)
        for _ in range(KEPT + 1):
            logs.rotate()
            write(tmp_path / ACCESS, 100)

        assert os.fstat(idle.fileno()).st_nlink == 0
        assert os.fstat(idle.fileno()).st_size == 0


def test_other_files_of_the_directory_stay(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", 5000)

    Logs(tmp_path, LIMIT).rotate()

    assert sizes(tmp_path) == {"notes.txt": 5000}


@pytest.mark.parametrize("removal", ["renamed", "removed"])
def test_the_reserve_of_disk_continues_in_a_new_file(tmp_path: Path, removal: str) -> None:
    make_program(tmp_path / "bin/stat", f'cat "{tmp_path}/free"')
    (tmp_path / "free").write_text(f"disk 1 {1 << 40}\n")
    log = tmp_path / "up.log"
    with log.open("ab") as output:
        reserve = subprocess.Popen(
            ["bash", str(ROOT / "db/reserve.sh"), str(tmp_path / "mark"), str(tmp_path), "--", "true"],
            env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: "sleep" in command_of_child(reserve.pid))  # it has begun its loop
        if removal == "renamed":
            log.rename(tmp_path / "up.log.1")
        else:
            log.unlink()
        wait_until(log.exists)
        (tmp_path / "free").write_text("disk 1 1\n")

        wait_until(lambda: "less than 256 MB" in log.read_text())
    finally:
        reserve.kill()
        reserve.wait()
