"""A follower returns each line of a log once, also while the log is rotated."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.watch import follow
from ops.watch.follow import Follower

Follow = Callable[..., Follower]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.log"
    path.write_bytes(b"old\n")
    return path


@pytest.fixture
def follow_log() -> Iterator[Follow]:
    """Return a function that follows a file, and closes the file at the end."""
    followers: list[Follower] = []

    def follow(path: Path, **options: bool) -> Follower:
        followers.append(Follower(path, **options))
        return followers[-1]

    yield follow
    for follower in followers:
        follower.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_lines_come_once_and_complete(log: Path, follow_log: Follow) -> None:
    follower = follow_log(log)
    assert follower.read() == b""

    append(log, b"one\ntw")
    assert follower.read() == b"one\n"
    append(log, b"o\n")
    assert follower.read() == b"two\n"
    assert follower.read() == b""


def test_a_follower_from_the_start_returns_older_lines(log: Path, follow_log: Follow) -> None:
    assert follow_log(log, from_start=True).read() == b"old\n"


def test_a_file_that_appears_later_is_read_from_its_start(tmp_path: Path, follow_log: Follow) -> None:
    follower = follow_log(tmp_path / "b.log")
    assert follower.read() == b""

    append(tmp_path / "b.log", b"one\n")

    assert follower.read() == b"one\n"


def test_no_line_is_lost_or_doubled_by_a_rotation(log: Path, follow_log: Follow) -> None:
    """The writer has the renamed file open for a while, also after another process has made the new one."""
    follower = follow_log(log)
    with log.open("ab", buffering=0) as writer:
        writer.write(b"1\n")
        log.rename(log.with_name("a.log.1"))
        writer.write(b"2\n")
        assert follower.read() == b"1\n2\n"
        writer.write(b"3\n")
        append(log, b"5\n")
        writer.write(b"4\n")
        assert follower.read() == b"3\n4\n5\n"
        append(log, b"7\n")
        writer.write(b"6\n")
        assert follower.read() == b"6\n7\n"


def test_lines_come_after_each_of_several_rotations(log: Path, follow_log: Follow) -> None:
    follower = follow_log(log)
    for number in (1, 2):
        append(log, b"%d\n" % number)
        assert follower.read() == b"%d\n" % number
        log.rename(log.with_name("a.log.1"))
    append(log, b"3\n")

    assert follower.read() == b"3\n"


def test_files_that_came_and_went_between_two_looks_are_read_in_order(log: Path, follow_log: Follow) -> None:
    follower = follow_log(log)
    older, newer = log.with_name("a.log.2"), log.with_name("a.log.1")
    append(log, b"1\n")
    log.rename(newer)
    append(log, b"2\n")
    newer.rename(older)
    log.rename(newer)
    append(log, b"3\n")

    assert follower.read() == b"1\n2\n3\n"
    assert follower.read() == b""


def test_an_emptied_file_is_read_from_its_start(log: Path, follow_log: Follow) -> None:
    follower = follow_log(log)
    append(log, b"one\nbegun")
    assert follower.read() == b"one\n"

    os.truncate(log, 0)
    append(log, b"two\n")

    assert follower.read() == b"two\n"


def test_renamed_files_are_closed(log: Path, monkeypatch: pytest.MonkeyPatch, follow_log: Follow) -> None:
    monkeypatch.setattr(follow, "LATE", -1.0)
    follower = follow_log(log)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(5):
        log.rename(log.with_name("a.log.1"))
        append(log, b"%d\n" % number)
        assert follower.read()
        assert follower.read() == b""
    assert len(os.listdir("/proc/self/fd")) == before
    follower.close()
    assert len(os.listdir("/proc/self/fd")) == before - 1
