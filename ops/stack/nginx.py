"""An nginx of our own: found or unpacked, its configuration written, and the words that start it."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ops import ROOT
from ops.system.debian import with_dependencies

CONFIGURATION = ROOT / "lb/nginx.conf"
WAITING = 1000  # requests of a lane that wait for the last processes that are asked, at most
LANES = ("people", "searches")  # the upstreams of nginx.conf


def find(report: Callable[[str], None]) -> list[str]:
    """Return the words that start the host's nginx, or Debian's, unpacked to a prefix. Raises OperatorError."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return [nginx] if nginx else with_dependencies(["nginx"], report).command("usr/sbin/nginx")


def write_configuration(folder: Path, port: int, instances: Sequence[Sequence[Path]], log: Path) -> Path:
    """Write a copy of nginx.conf to a folder, and beside it the files that it includes; return its path.

    nginx listens on `port`, reaches each of the `instances` at its sockets, and writes its logs to the folder `log`.
    """
    folder.mkdir(exist_ok=True)
    for name, text in pieces(port, instances, f"{log}/nginx-error.log", f"{log}/nginx-access.log").items():
        (folder / name).write_text(text)
    return Path(shutil.copy(CONFIGURATION, folder))


def pieces(port: int, instances: Sequence[Sequence[Path]], error_log: str, access_log: str) -> dict[str, str]:
    """Return the text of each file that nginx.conf includes, by its name."""
    lanes = {f"{lane}.conf": _servers(*groups) for lane, groups in zip(LANES, _lanes(instances), strict=True)}
    return lanes | {
        "listen.conf": f"listen {port} backlog=4096 sndbuf=32k;\n",
        "logs.conf": f"error_log {error_log} warn;\naccess_log {access_log} json buffer=64k flush=1s;\n",
    }


def _servers(first: Sequence[Path], others: Sequence[Path]) -> str:
    """Return the servers of an upstream: nginx asks the first while they are idle, and otherwise the others."""
    waiting = f"max_fails=0 max_conns={WAITING // len(others or first)}"
    if not others:  # nobody is there for what the first have no time for: it waits for them
        return "".join(f"server unix:{socket} {waiting};\n" for socket in first)
    lines = [f"server unix:{socket} max_fails=0 max_conns=1;\n" for socket in first]
    return "".join([*lines, *(f"server unix:{socket} {waiting} backup;\n" for socket in others)])


def _lanes(instances: Sequence[Sequence[Path]]) -> list[tuple[list[Path], list[Path]]]:
    """Return the sockets of each lane: those that are asked first, and the others.

    The later half of each instance's processes is for searches; an instance's only process is for all.
    """
    half = (max(map(len, instances)) + 1) // 2
    lanes = [[sockets[:half] for sockets in instances], [sockets[half:] or sockets for sockets in instances]]
    return [([some[0] for some in lane], [socket for some in lane for socket in some[1:]]) for lane in lanes]


def command(nginx: Sequence[str], configuration: Path, prefix: Path) -> list[str]:
    """Return the words that start nginx in the foreground, with its own files in the folder `prefix`."""
    # Started by root, nginx would give its workers to a user who may not enter our folders.
    user = "user root; " if os.geteuid() == 0 else ""
    return [*nginx, "-e", "stderr", "-p", f"{prefix}/", "-c", str(configuration), "-g", f"{user}daemon off;"]
