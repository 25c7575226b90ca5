"""bjoern is compiled with the host's headers of libev, or with those of a prefix."""

import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

from ops.console import Progress
from ops.errors import OperatorError
from ops.system import debian
from tests.support.debian import ignore


def test_nothing_is_unpacked_if_the_headers_of_libev_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "Path", lambda *parts: tmp_path)  # so that every header exists

    assert debian.run_where_bjoern_builds([sys.executable, "-c", "raise SystemExit(3)"], ignore) == 3


def test_the_compiler_finds_libev_in_a_prefix_if_the_host_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library is copied beside bjoern, so that the prefix is not needed afterwards."""
    library = tmp_path / "prefix/usr/lib/x86_64-linux-gnu/libev.so.4"
    library.parent.mkdir(parents=True)
    library.write_text("libev")
    (tmp_path / "Python.h").touch()
    unpacked: list[tuple[Sequence[str], str]] = []

    def unpack(packages: Sequence[str], suite: str, progress: Progress) -> Path:
        unpacked.append((packages, suite))
        return tmp_path / "prefix"

    monkeypatch.setattr(debian, "_prefix", unpack)
    monkeypatch.setattr(debian, "Path", lambda *parts: Path("/nowhere") if parts[-1] == "ev.h" else Path(*parts))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    program = "import os, sys; open(sys.argv[1], 'w').write('|'.join(map(os.environ.get, sys.argv[2:])))"

    names = ["CPATH", "LIBRARY_PATH", "LDFLAGS"]
    command = [sys.executable, "-c", program, str(tmp_path / "flags"), *names]

    (tmp_path / "libev.so.4").write_text("old")
    with (tmp_path / "libev.so.4").open() as mapped:
        assert debian.run_where_bjoern_builds(command, ignore) == 0
        assert mapped.read() == "old", "a worker that runs keeps the library which it has mapped"

    assert unpacked == [(["libev-dev"], "")]
    include, libraries, link = (tmp_path / "flags").read_text().split("|")
    assert f"{tmp_path}/prefix/usr/include" in include.split(":")
    assert str(library.parent) in libraries.split(":")
    assert link == "-Wl,-rpath,$ORIGIN"
    assert (tmp_path / "libev.so.4").read_text() == "libev"


def test_the_command_runs_another_command_and_returns_its_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], progress: Progress) -> int:
        commands.append(command)
        return 4

    monkeypatch.setattr(debian, "run_where_bjoern_builds", run)
    monkeypatch.setattr(sys, "argv", ["ops.system.debian", "pip", "install", "a b"])

    assert debian.main() == 4
    assert commands == [["pip", "install", "a b"]]


def test_the_command_reports_an_error_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(command: list[str], progress: Progress) -> int:
        progress("reading the package lists")
        raise OperatorError("there is no network")

    monkeypatch.setattr(debian, "run_where_bjoern_builds", fail)

    assert debian.main() == 1
    assert capsys.readouterr().err == "rinha: reading the package lists\nrinha: there is no network\n"
