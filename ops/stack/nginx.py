"""An nginx of our own: found or unpacked, its configuration rendered, and the words that start it."""

import os
import re
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


def render(port: int, instances: Sequence[Sequence[Path]], run: Path) -> str:
    """Return the configuration for a host: listening on `port`, files in `run`, each instance at its sockets."""
    text = CONFIGURATION.read_text()
    for lane, sockets in zip(LANES, _lanes(instances), strict=True):
        start = text.index(f"upstream {lane} {{")
        lines = list(re.finditer(r" +server unix:\S+ (.+;)\n", text[start : text.index("}", start)]))
        first, other = lines[0][1], re.sub(r"max_conns=\d+", f"max_conns={WAITING // len(sockets[-1])}", lines[-1][1])
        if len(sockets) == 1:  # nobody is there for what the first have no time for: it waits for them
            first = other.replace(" backup", "")
        chosen = [(socket, options) for some, options in zip(sockets, (first, other), strict=False) for socket in some]
        servers = "".join(f"        server unix:{socket} {options}\n" for socket, options in chosen)
        text = text[: start + lines[0].start()] + servers + text[start + lines[-1].end() :]
    for found, replacement in (
        (" /tmp/", f" {run}/"),
        ("listen 9999 ", f"listen {port} "),
        ("/dev/stderr", f"{run}/log/nginx-error.log"),
        ("/dev/stdout", f"{run}/log/nginx-access.log"),
    ):
        if found not in text:
            raise ValueError(f"{CONFIGURATION} has no {found.strip()!r} to replace")
        text = text.replace(found, replacement)
    # Started by root, nginx would give its workers to a user who may not enter our folders.
    return ("user root;\n" if os.geteuid() == 0 else "") + text


def _lanes(instances: Sequence[Sequence[Path]]) -> list[list[list[Path]]]:
    """Return the sockets of each lane: those that are asked first, and then the others if there are any.

    The later half of each instance's processes is for searches; an instance's only process is for all.
    """
    half = (max(map(len, instances)) + 1) // 2
    lanes = [[sockets[:half] for sockets in instances], [sockets[half:] or sockets for sockets in instances]]
    groups = [([some[0] for some in lane], [socket for some in lane for socket in some[1:]]) for lane in lanes]
    return [[group for group in pair if group] for pair in groups]


def command(nginx: Sequence[str], configuration: Path) -> list[str]:
    """Return the words that start nginx in the foreground."""
    return [*nginx, "-e", "stderr", "-c", str(configuration), "-g", "daemon off;"]
