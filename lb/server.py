"""An nginx of our own: found or unpacked, its configuration rendered, and the words that start it."""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ops.packages import with_dependencies

CONFIGURATION = Path(__file__).parent / "nginx.conf"
WAITING = 2000  # requests that wait for the last processes that are asked, at most


def find(report: Callable[[str], None]) -> list[str]:
    """Return the words that start the host's nginx, or Debian's, unpacked to a prefix. Raises PackagesError."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return [nginx] if nginx else with_dependencies(["nginx"], report).command("usr/sbin/nginx")


def render(port: int, instances: Sequence[Sequence[Path]], run: Path) -> str:
    """Return the configuration for a host: listening on `port`, files in `run`, each instance at its sockets."""
    text = CONFIGURATION.read_text()
    servers = list(re.finditer(r" +server unix:\S+ (.+;)\n", text))
    others = [socket for sockets in instances for socket in sockets[1:]]
    first = servers[0][1]
    other = re.sub(r"max_conns=\d+", f"max_conns={WAITING // len(others or instances)}", servers[-1][1])
    if not others:  # nobody is there for what the first have no time for: it waits for them
        first = other.replace(" backup", "")
    chosen = [(sockets[0], first) for sockets in instances] + [(socket, other) for socket in others]
    lines = "".join(f"        server unix:{socket} {options}\n" for socket, options in chosen)
    text = text[: servers[0].start()] + lines + text[servers[-1].end() :]
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


def command(nginx: Sequence[str], configuration: Path) -> list[str]:
    """Return the words that start nginx in the foreground."""
    return [*nginx, "-e", "stderr", "-c", str(configuration), "-g", "daemon off;"]
