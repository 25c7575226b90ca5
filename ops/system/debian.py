"""Debian packages in a private prefix: programs and headers without root, nothing on the host changed.

Standard library only: this module runs before anything is installed. As a command it runs another
one (pip, above all) with what compiling bjoern needs in its environment:

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
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from ops.console import Progress
from ops.errors import OperatorError

DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UNSTABLE = "sid"  # where Debian has MySQL; its stable releases have MariaDB, which has no ngram parser


class Prefix:
    """A directory with unpacked packages, whose programs run with the libraries they came with."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def command(self, program: str) -> list[str]:
        """Return the words that start `program`, a path below the prefix such as usr/sbin/nginx."""
        # Through the packages' own loader: their C library is newer than the host's.
        loader = next(self.path.glob("usr/lib*/ld-linux-*.so.*"))
        libraries = self.path / "usr/lib" / f"{os.uname().machine}-linux-gnu"
        return [str(loader), "--library-path", str(libraries), str(self.path / program)]


def install(packages: Sequence[str], progress: Progress) -> Prefix:
    """Return a prefix with `packages` of Debian unstable and all they depend on.

    Downloads and unpacks on first use, into the user's cache directory; `progress` receives each step.
    Raises OperatorError where that is impossible.
    """
    return Prefix(_prefix(packages, UNSTABLE, progress))


def run_where_bjoern_builds(command: list[str], progress: Progress) -> int:
    """Run `command`, an installation into this interpreter; return its exit status.

    Where the host has no libev or no headers of Python, the compiler finds those of the host's own
    release in a prefix, and libev's library is put beside bjoern. Raises OperatorError.
    """
    missing = []
    if not any(Path(path, "ev.h").exists() for path in ("/usr/include", "/usr/include/libev", "/usr/local/include")):
        missing.append("libev-dev")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append(f"libpython3.{sys.version_info.minor}-dev")
    if not missing:
        return subprocess.run(command).returncode
    usr = _prefix(missing, "", progress) / "usr"
    include = [usr / "include", *usr.glob("include/python3*")]
    libraries = list(usr.glob("lib/*-linux-gnu"))
    flags = {
        "CPPFLAGS": " ".join(f"-I{path}" for path in include),  # CFLAGS would replace the optimisation
        # $ORIGIN: the directory of the module itself, so that nothing depends on the prefix later.
        "LDFLAGS": " ".join(["-Wl,-rpath,$ORIGIN", *(f"-L{path}" for path in libraries)]),
    }
    status = subprocess.run(command, env={**os.environ, **flags}).returncode
    for library in usr.glob("lib/*/libev.so.4"):
        shutil.copy(library, sysconfig.get_path("platlib"))
    return status


def _prefix(packages: Sequence[str], suite: str, progress: Progress) -> Path:
    """Return the directory of these packages of `suite` ("": the host's own release), made if need be."""
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rinha"
    target = cache / f"{suite or 'host'}-{key}"
    if target.exists():
        return target
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise OperatorError(
            f"this is no Debian or Ubuntu; install {' and '.join(packages)} by its own means, or use compose"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        if target.exists():
            return target
        work = cache / f"{target.name}.part"
        archives = _download(packages, suite, work, progress)
        progress(f"unpacking {len(archives)} packages")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda deb: _run(["dpkg-deb", "-x", str(deb), str(work / "prefix")]), archives))
        (work / "prefix").rename(target)
        shutil.rmtree(work)
    return target


def _download(packages: Sequence[str], suite: str, work: Path, progress: Progress) -> list[Path]:
    """Download with an apt of our own, which neither reads nor writes the host's state."""
    archives = work / "archives"
    for directory in (archives / "partial", work / "lists" / "partial", work / "prefix"):
        directory.mkdir(parents=True, exist_ok=True)
    (work / "status").touch()
    settings = [
        f'Dir::State "{work}"; Dir::State::Lists "{work}/lists"; Dir::State::status "{work}/status";',
        f'Dir::Cache "{work}"; Dir::Cache::archives "{archives}"; Debug::NoLocking "true"; APT::Sandbox::User "";',
        # The host's other settings may hold hooks that clean the host's caches: only its network settings count.
        'Dir::Etc::Main "/dev/null"; Dir::Etc::Parts "/dev/null";',
        _run(["apt-config", "dump", "Acquire", "--format", '%F "%v";%n']),
    ]
    if suite:
        mirror = _debian_mirror()
        (work / "sources.list").write_text(f"deb [signed-by={DEBIAN_KEYRING}] {mirror} {suite} main\n")
        settings.append(f'Dir::Etc::SourceList "{work}/sources.list"; Dir::Etc::SourceParts "/dev/null";')
    (work / "apt.conf").write_text("\n".join(settings))
    environment = {**os.environ, "APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C"}
    progress("reading the package lists")
    _run(["apt-get", "-qq", "update"], environment)
    # With an empty status nothing counts as installed: all that is needed comes, down to the C library.
    wanted = ["install", "--no-install-recommends", "--yes", *packages]
    uris = re.findall(r"^'\S+' \S+ (\d+)", _run(["apt-get", "-qq", "--print-uris", *wanted], environment), re.MULTILINE)
    total = sum(map(int, uris))
    with _progress(archives, total, len(uris), progress):
        _run(["apt-get", "-qq", "--download-only", *wanted], environment, archives)
    return sorted(archives.glob("*.deb"))


def _debian_mirror() -> str:
    """Return the address of the Debian mirror that this machine's own apt uses."""
    sites = _run(["apt-get", "indextargets", "--format", "$(SITE)"]).split()
    mirrors = [site for site in sites if site.rstrip("/").endswith("/debian")]
    if not mirrors or not DEBIAN_KEYRING.exists():
        raise OperatorError(
            "this machine has no MySQL of 8.4 or later and its package sources name no Debian mirror to take one from; "
            "install mysql-server-core 8.4 or later and nginx by its own means, or use compose"
        )
    return mirrors[0]


def _run(command: list[str], environment: dict[str, str] | None = None, directory: Path | None = None) -> str:
    done = subprocess.run(
        command, env=environment, cwd=directory, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise OperatorError(f"{command[0]} failed: {reason[0]}; is there a network, and room on the disk?")
    return done.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _progress(directory: Path, total: int, count: int, progress: Progress) -> Iterator[None]:
    """Report how much of `total` bytes has arrived in `directory`, twice a second."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            have = 0
            for path in directory.rglob("*.deb"):
                with suppress(FileNotFoundError):  # moved from partial/ to its place meanwhile
                    have += path.stat().st_size
            progress(f"downloading {count} packages: {have / 1e6:.0f} of {total / 1e6:.0f} MB")

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def main() -> int:
    """Run the command given as arguments where bjoern can be compiled; return its exit status."""
    try:
        return run_where_bjoern_builds(sys.argv[1:], lambda line: print(f"rinha: {line}", file=sys.stderr))
    except OperatorError as error:
        print(f"rinha: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
