"""An nginx of our own: found or unpacked, its configuration rendered, and the words that start it."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ops.packages import with_dependencies

CONFIGURATION = Path(__file__).parent / "nginx.conf"


def find(report: Callable[[str], None]) -> list[str]:
    """Return the words that start the host's nginx, or Debian's, unpacked to a prefix. Raises PackagesError."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return [nginx] if nginx else with_dependencies(["nginx"], report).command("usr/sbin/nginx")


def render(port: int, sockets: Sequence[Path], run: Path) -> str:
    """Return the configuration for a host: listening on `port`, files in `run`, the API at `sockets`."""
    text = CONFIGURATION.read_text()
    head, first, rest = text.partition("        server unix:")
    options, _, _ = rest.partition("sock ")[2].partition("\n")
    tail = rest[rest.rindex(options) + len(options) + 1 :]
    text = head + "".join(f"{first}{socket} {options}\n" for socket in sockets) + tail
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
