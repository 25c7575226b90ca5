"""Debian packages in a private prefix, as far as that needs no network: stand-ins take the place of apt and dpkg."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.errors import OperatorError
from ops.system import debian as packages
from ops.system.debian import Prefix, install

SITES = [
    "http://deb.example/debian-security",
    "http://ppa.example/ubuntu",
    "https://mirror.example/debian",
    "http://other.example/debian/",
]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's cache directory, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing to be found by PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file with Debian's keys, which the machine has."""
    path = tmp_path / "keyring.gpg"
    path.touch()
    monkeypatch.setattr(packages, "DEBIAN_KEYRING", path)
    return path


class Apt:
    """Stands in for every program that is run: knows some sites, and two packages of 3 MB."""

    def __init__(self, sites: list[str]) -> None:
        self.sites = sites
        self.commands: list[list[str]] = []
        self.fails_at = ""

    def run(self, command: list[str], environment: dict[str, str] | None = None, directory: Path | None = None) -> str:
        self.commands.append(command)
        if self.fails_at and self.fails_at in command:
            raise OperatorError("apt-get failed")
        if command[:2] == ["apt-get", "indextargets"]:
            return "\n".join(self.sites) + "\n"
        if "--print-uris" in command:
            uri = "'http://mirror.example/debian/pool/{0}.deb' {0}.deb {1} SHA256:00\n"
            return uri.format("one_1", 1_000_000) + uri.format("two_2", 2_000_000)
        if "--download-only" in command:
            assert directory
            for name in ("one_1.deb", "two_2.deb"):
                (directory / name).touch()
        if command[0] == "dpkg-deb":
            Path(command[3], Path(command[2]).name).touch()
        return ""

    def ran(self, word: str) -> int:
        """Return how many commands had this word."""
        return sum(word in command for command in self.commands)


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch, keyring: Path, cache: Path) -> Apt:
    """Return a stand-in for the programs, on a machine that has them."""
    apt = Apt(SITES)
    monkeypatch.setattr(packages, "_run", apt.run)
    monkeypatch.setattr(packages.shutil, "which", lambda name: f"/usr/bin/{name}")
    return apt


def silent(line: str) -> None:
    pass


@pytest.mark.usefixtures("no_programs")
def test_a_machine_without_apt_is_told_what_to_install(cache: Path) -> None:
    with pytest.raises(OperatorError, match="no Debian or Ubuntu") as refused:
        install(["mysql-server-core", "mysql-client-core"], silent)

    assert "install mysql-server-core and mysql-client-core" in str(refused.value)
    assert "compose" in str(refused.value)
    assert not cache.exists()


@pytest.mark.usefixtures("no_programs")
def test_what_is_unpacked_already_needs_no_apt(cache: Path) -> None:
    with pytest.MonkeyPatch.context() as has_apt:
        has_apt.setattr(packages, "_run", Apt(SITES).run)
        has_apt.setattr(packages.shutil, "which", lambda name: f"/usr/bin/{name}")
        has_apt.setattr(packages, "DEBIAN_KEYRING", cache.parent)
        made = install(["nginx"], silent)

    assert install(["nginx"], silent).path == made.path
    assert made.path.parent == cache / "rinha"


def test_the_mirror_is_the_first_of_debian_itself_that_apt_knows(apt: Apt) -> None:
    """Not that of its security updates, nor somebody else's."""
    assert packages._debian_mirror() == "https://mirror.example/debian"

    apt.sites = SITES[:2] + SITES[3:]
    assert packages._debian_mirror() == "http://other.example/debian/"


@pytest.mark.parametrize("sites", [[], SITES[:2], ["http://archive.example/ubuntu/"]])
def test_a_machine_without_a_debian_mirror_is_told_what_to_install(apt: Apt, cache: Path, sites: list[str]) -> None:
    apt.sites = sites

    with pytest.raises(OperatorError, match="no Debian mirror") as refused:
        install(["mysql-server-core"], silent)

    assert "install mysql-server-core 8.4 or later" in str(refused.value)
    assert "compose" in str(refused.value)
    assert not apt.ran("update"), "the network is asked for nothing"


def test_a_mirror_without_the_keys_to_check_it_is_not_used(apt: Apt, keyring: Path) -> None:
    keyring.unlink()

    with pytest.raises(OperatorError, match="no Debian mirror"):
        packages._debian_mirror()


def test_packages_are_unpacked_once(apt: Apt, cache: Path) -> None:
    first, second = (install(["nginx"], silent) for _ in range(2))

    assert first.path == second.path
    assert sorted(path.name for path in first.path.iterdir()) == ["one_1.deb", "two_2.deb"]
    assert apt.ran("update") == 1
    assert apt.ran("dpkg-deb") == 2
    assert {path.name for path in (cache / "rinha").iterdir()} == {"lock", first.path.name}, "work is left over"


def test_different_packages_have_different_prefixes(apt: Apt) -> None:
    assert install(["nginx"], silent).path != install(["mysql-server-core"], silent).path


@pytest.mark.parametrize("fails_at", ["update", "--download-only", "dpkg-deb"])
def test_what_was_interrupted_is_finished_the_next_time(apt: Apt, fails_at: str) -> None:
    apt.fails_at = fails_at
    with pytest.raises(OperatorError):
        install(["nginx"], silent)

    apt.fails_at = ""
    made = install(["nginx"], silent)

    assert sorted(path.name for path in made.path.iterdir()) == ["one_1.deb", "two_2.deb"]


def test_the_progress_is_told(apt: Apt) -> None:
    told: list[str] = []

    install(["nginx"], told.append)

    assert (told[0], told[-1]) == ("reading the package lists", "unpacking 2 packages")


def test_apt_reads_sources_signed_by_debian_and_no_state_of_the_host(
    apt: Apt, cache: Path, keyring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt.fails_at = "dpkg-deb"  # so that its configuration is still there
    with pytest.raises(OperatorError):
        install(["nginx"], silent)

    (work,) = (cache / "rinha").glob("*.part")
    assert (work / "sources.list").read_text() == f"deb [signed-by={keyring}] https://mirror.example/debian sid main\n"
    settings = (work / "apt.conf").read_text()
    for name in ("Dir::State ", "Dir::State::Lists ", "Dir::State::status ", "Dir::Cache ", "Dir::Cache::archives "):
        assert f'{name}"{work}' in settings
    for name in ("Dir::Etc::Main", "Dir::Etc::Parts", "Dir::Etc::SourceParts"):
        assert f'{name} "/dev/null";' in settings
    (command,) = (command for command in apt.commands if "--download-only" in command)
    assert "--no-install-recommends" in command


def test_a_program_of_a_prefix_runs_with_its_own_loader_and_libraries(tmp_path: Path) -> None:
    loader = tmp_path / "usr/lib64/ld-linux-x86-64.so.2"
    loader.parent.mkdir(parents=True)
    loader.touch()

    words = Prefix(tmp_path).command("usr/sbin/nginx")

    assert words[0] == str(loader)
    assert words[1:] == [
        "--library-path", f"{tmp_path}/usr/lib/{os.uname().machine}-linux-gnu", f"{tmp_path}/usr/sbin/nginx",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo one; echo two >&2; echo E: three >&2; exit 100", "E: three"),
        ("echo only this; exit 1", "only this"),
        ("exit 3", "exit status 3"),
    ],
)
def test_a_program_that_fails_is_named_with_its_last_words(script: str, reason: str) -> None:
    with pytest.raises(OperatorError) as failed:
        packages._run(["sh", "-c", script])

    assert str(failed.value) == f"sh failed: {reason}; is there a network, and room on the disk?"


def test_where_bjoern_builds_nothing_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "Path", lambda *parts: tmp_path)  # any header is there

    assert packages.run_where_bjoern_builds([sys.executable, "-c", "raise SystemExit(3)"], silent) == 3


def test_where_libev_is_missing_the_compiler_finds_it_in_a_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its library is put beside bjoern, so that the prefix is not needed afterwards."""
    library = tmp_path / "prefix/usr/lib/x86_64-linux-gnu/libev.so.4"
    library.parent.mkdir(parents=True)
    library.write_text("libev")
    (tmp_path / "Python.h").touch()
    wanted: list[Any] = []
    monkeypatch.setattr(packages, "_prefix", lambda *words: wanted.append(words) or tmp_path / "prefix")
    monkeypatch.setattr(packages, "Path", lambda *parts: Path("/nowhere") if parts[-1] == "ev.h" else Path(*parts))
    monkeypatch.setattr(packages.sysconfig, "get_path", lambda name: str(tmp_path))
    tell = "import os, sys; open(sys.argv[1], 'w').write(os.environ['CPPFLAGS'] + '|' + os.environ['LDFLAGS'])"

    assert packages.run_where_bjoern_builds([sys.executable, "-c", tell, str(tmp_path / "told")], silent) == 0

    assert wanted[0][:2] == (["libev-dev"], "")
    include, link = (tmp_path / "told").read_text().split("|")
    assert f"-I{tmp_path}/prefix/usr/include" in include
    assert f"-L{library.parent}" in link
    assert "-Wl,-rpath,$ORIGIN" in link
    assert (tmp_path / "libev.so.4").read_text() == "libev"


def test_as_a_command_it_runs_another_and_passes_its_exit_status_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(packages, "run_where_bjoern_builds", lambda command, report: ran.append(command) or 4)
    monkeypatch.setattr(sys, "argv", ["ops.system.debian", "pip", "install", "a b"])

    assert packages.main() == 4
    assert ran == [["pip", "install", "a b"]]


def test_as_a_command_it_tells_in_one_plain_line_why_it_cannot(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def impossible(words: list[str], report: Callable[[str], None]) -> int:
        report("reading the package lists")
        raise OperatorError("there is no network")

    monkeypatch.setattr(packages, "run_where_bjoern_builds", impossible)

    assert packages.main() == 1
    assert capsys.readouterr().err == "rinha: reading the package lists\nrinha: there is no network\n"
