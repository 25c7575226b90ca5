"""Debian packages are unpacked once into a private prefix; stand-ins take the place of apt, dpkg and the network."""

import os
import shutil
from pathlib import Path

import pytest

from ops.errors import OperatorError
from ops.system import debian
from ops.system.debian import Prefix, install
from tests.support.debian import SITES, Apt, ignore


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's cache directory, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no program in the PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file with Debian's keys, which the machine has."""
    path = tmp_path / "keyring.gpg"
    path.touch()
    monkeypatch.setattr(debian, "DEBIAN_KEYRING", path)
    return path


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch, keyring: Path, cache: Path) -> Apt:
    """Return a stand-in for the programs, on a machine that has them."""
    apt = Apt(SITES)
    monkeypatch.setattr(debian, "_run", apt.run)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return apt


@pytest.mark.usefixtures("no_programs")
def test_without_apt_the_message_names_the_packages_to_install(cache: Path) -> None:
    with pytest.raises(OperatorError, match="no Debian or Ubuntu") as refused:
        install(["mysql-server-core", "mysql-client-core"], ignore)

    assert "install mysql-server-core and mysql-client-core" in str(refused.value)
    assert "compose" in str(refused.value)
    assert not cache.exists()


@pytest.mark.usefixtures("no_programs")
def test_unpacked_packages_need_no_apt(cache: Path) -> None:
    with pytest.MonkeyPatch.context() as has_apt:
        has_apt.setattr(debian, "_run", Apt(SITES).run)
        has_apt.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
        has_apt.setattr(debian, "DEBIAN_KEYRING", cache.parent)
        made = install(["nginx"], ignore)

    assert install(["nginx"], ignore).path == made.path
    assert made.path.parent == cache / "rinha"


def test_the_mirror_is_the_first_of_debian_itself_that_apt_knows(apt: Apt) -> None:
    """A mirror of security updates or of another distribution is not used."""
    assert debian._debian_mirror() == "https://mirror.example/debian"

    apt.sites = SITES[:2] + SITES[3:]
    assert debian._debian_mirror() == "http://other.example/debian/"


@pytest.mark.parametrize("sites", [[], SITES[:2], ["http://archive.example/ubuntu/"]])
def test_without_a_debian_mirror_the_message_names_the_packages_to_install(
    apt: Apt, cache: Path, sites: list[str]
) -> None:
    apt.sites = sites

    with pytest.raises(OperatorError, match="no Debian mirror") as refused:
        install(["mysql-server-core"], ignore)

    assert "install mysql-server-core 8.4 or later" in str(refused.value)
    assert "compose" in str(refused.value)
    assert not apt.count("update"), "the network was used"


def test_a_mirror_without_the_keys_to_check_it_is_not_used(apt: Apt, keyring: Path) -> None:
    keyring.unlink()

    with pytest.raises(OperatorError, match="no Debian mirror"):
        debian._debian_mirror()


def test_packages_are_unpacked_once(apt: Apt, cache: Path) -> None:
    first, second = (install(["nginx"], ignore) for _ in range(2))

    assert first.path == second.path
    assert sorted(path.name for path in first.path.iterdir()) == ["one_1.deb", "two_2.deb"]
    assert apt.count("update") == 1
    assert apt.count("dpkg-deb") == 2
    assert {path.name for path in (cache / "rinha").iterdir()} == {"lock", first.path.name}, "work is left over"


@pytest.mark.usefixtures("apt")
def test_different_packages_have_different_prefixes() -> None:
    assert install(["nginx"], ignore).path != install(["mysql-server-core"], ignore).path


@pytest.mark.parametrize("fails_at", ["update", "--download-only", "dpkg-deb"])
def test_an_interrupted_installation_is_completed_the_next_time(apt: Apt, fails_at: str) -> None:
    apt.fails_at = fails_at
    with pytest.raises(OperatorError):
        install(["nginx"], ignore)

    apt.fails_at = ""
    made = install(["nginx"], ignore)

    assert sorted(path.name for path in made.path.iterdir()) == ["one_1.deb", "two_2.deb"]


@pytest.mark.usefixtures("apt")
def test_the_progress_is_shown() -> None:
    lines: list[str] = []

    install(["nginx"], lines.append)

    assert (lines[0], lines[-1]) == ("reading the package lists", "unpacking 2 packages")


def test_apt_reads_sources_signed_by_debian_and_no_state_of_the_host(apt: Apt, cache: Path, keyring: Path) -> None:
    apt.fails_at = "dpkg-deb"  # leaves the configuration behind
    with pytest.raises(OperatorError):
        install(["nginx"], ignore)

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

    assert Prefix(tmp_path).command("usr/sbin/nginx") == [
        str(loader),
        "--library-path",
        f"{tmp_path}/usr/lib/{os.uname().machine}-linux-gnu",
        f"{tmp_path}/usr/sbin/nginx",
    ]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo one; echo two >&2; echo E: three >&2; exit 100", "E: three"),
        ("echo only this; exit 1", "only this"),
        ("exit 3", "exit status 3"),
    ],
)
def test_a_program_that_fails_is_reported_with_its_last_line(script: str, reason: str) -> None:
    with pytest.raises(OperatorError) as failed:
        debian._run(["sh", "-c", script])

    assert str(failed.value) == f"sh failed: {reason}; is there a network, and room on the disk?"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"XDG_CACHE_HOME": "x", "HOME": "h"}, "x/rinha"),
        ({"HOME": "h"}, "h/.cache/rinha"),
        ({"XDG_CACHE_HOME": "", "HOME": "h h/'q'"}, "h h/'q'/.cache/rinha"),
        ({"XDG_CACHE_HOME": "../relative", "HOME": "h"}, "h/.cache/rinha"),
        ({"XDG_CACHE_HOME": "a:b", "HOME": "h"}, "checkout/.rinha/cache"),
        ({"HOME": 'a"b'}, "checkout/.rinha/cache"),
        ({"HOME": "file"}, "checkout/.rinha/cache"),
        ({}, "checkout/.rinha/cache"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("apt")
def test_packages_are_unpacked_where_this_user_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    """In the user's cache directory, or in the checkout if the user has none, or one with an unusable path."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(debian, "ROOT", tmp_path / "checkout")
    (tmp_path / "file").touch()
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value if value[:1] in ("", ".") else str(tmp_path / value))
    if not variables:
        monkeypatch.setattr(Path, "home", no_home)

    assert install(["nginx"], ignore).path.parent == tmp_path / expected


@pytest.mark.usefixtures("apt")
def test_without_a_place_for_packages_the_message_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "file"))
    monkeypatch.setattr(debian, "ROOT", tmp_path / "a:b")

    with pytest.raises(OperatorError, match=r"a:b cannot be written, or its path .* install nginx"):
        install(["nginx"], ignore)
