"""Unpacks Debian packages into a directory of the user: programs and headers without root or changes to the host.

This module uses the standard library only, because it runs before anything is installed. As a command it runs another
command, usually pip, with an environment in which bjoern can be compiled:

    python -m ops.system.debian python -m pip install -r requirements.txt
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from ops import ROOT, environment
from ops.console import Progress, Share
from ops.errors import OperatorError
from ops.periodic import repeated

DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UNSTABLE = "sid"  # has MySQL; Debian's stable releases have MariaDB, which has no ngram parser
PROGRESS_INTERVAL = 0.5  # seconds
SEPARATORS = '":;'  # in apt's settings, and in the list of directories of the loader and of the compiler


class Prefix:
    """A directory with unpacked packages. Its programs use the libraries of these packages."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def command(self, program: str) -> list[str]:
        """Return the command line that runs `program`, a path in the prefix such as usr/sbin/nginx."""
        # The C library of the packages is newer than the host's, so the program needs the packages' loader.
        loader = next(self.path.glob("usr/lib*/ld-linux-*.so.*"))
        libraries = self.path / "usr/lib" / f"{os.uname().machine}-linux-gnu"
        return [str(loader), "--library-path", str(libraries), str(self.path / program)]


def install(packages: Sequence[str], progress: Progress) -> Prefix:
    """Return a prefix with `packages` of Debian unstable and their dependencies.

    Downloads the packages to the user's cache directory on first use. Raises OperatorError if that is impossible.
    """
    return Prefix(_prefix(packages, UNSTABLE, progress))


def run_where_bjoern_builds(command: list[str], progress: Progress) -> int:
    """Run `command`, which installs packages for this interpreter; return its exit status.

    If the host has no headers of libev or of Python, the compiler uses those of a prefix. The prefix has the packages
    of the host's own release, and libev's library is copied beside bjoern. Raises OperatorError.
    """
    missing = []
    if not any(Path(path, "ev.h").exists() for path in ("/usr/include", "/usr/include/libev", "/usr/local/include")):
        missing.append("libev-dev")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append(f"libpython3.{sys.version_info.minor}-dev")
    if not missing:
        return subprocess.run(command, env=environment.of_pip(command[0])).returncode
    usr = _prefix(missing, "", progress) / "usr"
    flags = {
        # The compiler's own lists of directories: options would be split at the spaces of a path.
        "CPATH": ":".join(map(str, [usr / "include", *usr.glob("include/python3*")])),
        "LIBRARY_PATH": ":".join(map(str, usr.glob("lib/*-linux-gnu"))),
        # $ORIGIN is the directory of the compiled module: bjoern finds libev there, without the prefix.
        "LDFLAGS": "-Wl,-rpath,$ORIGIN",
    }
    status = subprocess.run(command, env=environment.of_pip(command[0], **flags)).returncode
    for library in usr.glob("lib/*/libev.so.4"):
        # Another file takes the place of the old one, which workers of a running stack may have mapped.
        new = Path(sysconfig.get_path("platlib"), f"{library.name}.{os.getpid()}")
        shutil.copy(library, new)
        new.replace(new.with_name(library.name))
    return status


def _prefix(packages: Sequence[str], suite: str, progress: Progress) -> Path:
    """Return the directory of `packages`, which is made on first use. The suite "" is the host's own release."""
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    name = f"{suite or 'host'}-{key}"
    for cache in _caches():
        if (cache / name).exists():
            return cache / name
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise OperatorError(
            f"apt-get or dpkg-deb is missing, so this is no Debian or Ubuntu; install {' and '.join(packages)} "
            "with the package manager of this machine, or use compose"
        )
    usable = list(filter(_is_usable, _caches()))
    if not usable:
        raise OperatorError(
            f"{ROOT} cannot be written, or its path has one of the characters {' '.join(SEPARATORS)}, so there is no "
            f"directory for packages; install {' and '.join(packages)} with the package manager of this machine"
        )
    cache = usable[0]
    target = cache / name
    with locked(cache / "lock"):
        if target.exists():
            return target
        work = cache / f"{target.name}.part"
        archives = _download(packages, suite, work, progress)
        progress(f"unpacking {len(archives)} packages")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda archive: _run(["dpkg-deb", "-x", str(archive), str(work / "prefix")]), archives))
        (work / "prefix").rename(target)
        shutil.rmtree(work)
    return target


def _caches() -> Iterator[Path]:
    """Yield where packages may be: in the user's cache directory, or in the checkout if the user has none."""
    directory = Path(os.environ.get("XDG_CACHE_HOME", ""))
    with suppress(RuntimeError):  # the user has no home and is in no list of users
        directory = directory if directory.is_absolute() else Path.home() / ".cache"
    for cache in (directory / "rinha", ROOT / ".rinha/cache"):
        if cache.is_absolute() and not set(SEPARATORS) & set(str(cache)):
            yield cache


def _is_usable(cache: Path) -> bool:
    """Make a cache directory; return whether this user may write there."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(cache, os.W_OK)


def _download(packages: Sequence[str], suite: str, work: Path, progress: Progress) -> list[Path]:
    """Download `packages` and their dependencies; return the paths of the archives.

    apt keeps its state in the directory `work`, and neither reads nor writes the host's.
    """
    archives = work / "archives"
    for directory in (archives / "partial", work / "lists" / "partial", work / "prefix"):
        directory.mkdir(parents=True, exist_ok=True)
    # With an empty status file no package counts as installed, so all dependencies come, down to the C library.
    (work / "status").touch()
    settings = [
        f'Dir::State "{work}"; Dir::State::Lists "{work}/lists"; Dir::State::status "{work}/status";',
        f'Dir::Cache "{work}"; Dir::Cache::archives "{archives}"; Debug::NoLocking "true"; APT::Sandbox::User "";',
        # Of the host's settings only the network's apply: others may hold hooks that clean the host's caches.
        'Dir::Etc::Main "/dev/null"; Dir::Etc::Parts "/dev/null";',
        _run(["apt-config", "dump", "Acquire", "--format", '%F "%v";%n']),
    ]
    if suite:
        mirror = _debian_mirror()
        (work / "sources.list").write_text(f"deb [signed-by={DEBIAN_KEYRING}] {mirror} {suite} main\n")
        settings.append(f'Dir::Etc::SourceList "{work}/sources.list"; Dir::Etc::SourceParts "/dev/null";')
    (work / "apt.conf").write_text("\n".join(settings))
    settings_file = str(work / "apt.conf")
    progress("reading the package lists")
    _run(["apt-get", "-qq", "update"], settings_file)
    install_packages = ["install", "--no-install-recommends", "--yes", *packages]
    listed = _run(["apt-get", "-qq", "--print-uris", *install_packages], settings_file)
    sizes = [int(size) for size in re.findall(r"^'\S+' \S+ (\d+)", listed, re.MULTILINE)]
    with _showing_download(archives, sizes, progress):
        _run(["apt-get", "-qq", "--download-only", *install_packages], settings_file, archives)
    return sorted(archives.glob("*.deb"))


def _debian_mirror() -> str:
    """Return the address of the Debian mirror in this machine's package sources; raise OperatorError without one."""
    sites = _run(["apt-get", "indextargets", "--format", "$(SITE)"]).split()
    mirrors = [site for site in sites if site.rstrip("/").endswith("/debian")]
    if not mirrors or not DEBIAN_KEYRING.exists():
        raise OperatorError(
            "this machine has no MySQL of 8.4 or later or no nginx, and its package sources name no Debian mirror "
            f"whose keys are in {DEBIAN_KEYRING}; install mysql-server-core 8.4 or later and nginx with its package "
            "manager, or use compose"
        )
    return mirrors[0]


def _run(command: list[str], apt_settings: str = "", directory: Path | None = None) -> str:
    """Return the standard output of a command; raise OperatorError with its last line if it fails.

    apt reads the file `apt_settings` in place of the host's.
    """
    variables = environment.listed(*environment.NETWORK, **({"APT_CONFIG": apt_settings} if apt_settings else {}))
    completed = subprocess.run(
        command, env=variables, cwd=directory, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if completed.returncode:
        output = completed.stderr.strip() or completed.stdout.strip() or f"exit status {completed.returncode}"
        reason = output.splitlines()[-1]
        raise OperatorError(f"{command[0]} failed: {reason}; is there a network, and room on the disk?")
    return completed.stdout


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file; wait while another process holds it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _showing_download(directory: Path, sizes: Sequence[int], progress: Progress) -> Iterator[None]:
    """Show how many bytes of the archives, which have these sizes, are in `directory`."""

    def show() -> None:
        downloaded = 0
        for path in directory.rglob("*.deb"):
            with suppress(FileNotFoundError):  # apt moves a complete archive from partial/ to `directory`
                downloaded += path.stat().st_size
        text = f"downloading {len(sizes)} packages: {downloaded / 1e6:.0f} of {sum(sizes) / 1e6:.0f} MB"
        progress(Share(text, downloaded, sum(sizes)))

    with repeated(show, PROGRESS_INTERVAL):
        yield


def main() -> int:
    """Run the command of the arguments where bjoern can be compiled; return its exit status."""
    try:
        return run_where_bjoern_builds(sys.argv[1:], lambda line: print(f"rinha: {line}", file=sys.stderr))
    except OperatorError as error:
        print(f"rinha: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
