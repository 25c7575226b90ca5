"""The stack's nginx: its program and its configuration."""

import os
import shutil
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ops import ROOT
from ops.console import Progress
from ops.stack.capacity import Capacity
from ops.system.debian import install
from ops.system.ports import has_ipv6

CONFIGURATION = ROOT / "lb/nginx.conf"
ACCESS_LOG, ERROR_LOG = "nginx-access.log", "nginx-error.log"
LANES = ("people", "searches")  # the upstreams of nginx.conf
DIRECTORIES = ("client_body", "proxy")  # of nginx.conf: for large bodies and answers, made by nginx when it starts
PAGE = ROOT / "page"
# Swagger UI, in the package drf-spectacular-sidecar of requirements-page.txt, and the files of it that the page needs.
SWAGGER_UI = "drf_spectacular_sidecar/static/drf_spectacular_sidecar/swagger-ui-dist"
SWAGGER_UI_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")


class Files(NamedTuple):
    """The logs that nginx writes, whether they have search terms and names, and the directory that nginx serves."""

    error_log: str
    access_log: str
    page: Path
    log_terms: bool = False


def find_program(progress: Progress) -> list[str]:
    """Return the command line of the host's nginx, or of Debian's, unpacked into a prefix; raise OperatorError."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return [nginx] if nginx else install(["nginx"], progress).command("usr/sbin/nginx")


def write_configuration(  # noqa: PLR0913, PLR0917 - what the included files are made of
    directory: Path,
    port: int,
    instances: Sequence[Sequence[Path]],
    log: Path,
    capacity: Capacity,
    metrics: str = "",
    log_terms: bool = False,
) -> None:
    """Copy nginx.conf to a directory and write the files that it includes beside it.

    nginx listens on `port`, reaches each of the `instances` at its workers' sockets, and logs to the directory `log`,
    with search terms and names if `log_terms`. `metrics` is the text of metrics.conf.
    """
    directory.mkdir(exist_ok=True)
    page = directory / "page"
    _link_page(page)
    addresses = [str(port), f"[::]:{port}"] if has_ipv6() else [str(port)]
    files = Files(f"{log}/{ERROR_LOG}", f"{log}/{ACCESS_LOG}", page, log_terms)
    included = included_files(addresses, instances, files, capacity)
    for name, text in {**included, "metrics.conf": metrics}.items():
        (directory / name).write_text(text)
    shutil.copyfile(CONFIGURATION, directory / CONFIGURATION.name)  # without the mode of the checkout


def included_files(
    addresses: Sequence[str], instances: Sequence[Sequence[Path]], files: Files, capacity: Capacity
) -> dict[str, str]:
    """Return the files that nginx.conf includes: their text by their name."""
    lanes = {
        f"{lane}.conf": _servers(*sockets, capacity) for lane, sockets in zip(LANES, _lanes(instances), strict=True)
    }
    return lanes | {
        "listen.conf": "".join(f"listen {address} backlog=4096 sndbuf=32k;\n" for address in addresses),
        "limits.conf": f"worker_rlimit_nofile {capacity.open_files};\n"
        f"events {{ worker_connections {capacity.nginx_connections}; multi_accept on; }}\n",
        "logs.conf": f"error_log {files.error_log} warn;\naccess_log {files.access_log} json buffer=64k flush=250ms;\n",
        "logged_uri.conf": "~^[!-~]+$ $request_uri;\n" if files.log_terms else "",
        # A line about a request quotes the request, and nginx cannot leave that out (decision 25). Lines about nginx
        # and its connections go to the log of logs.conf.
        "request_errors.conf": "error_log /dev/null emerg;\n"
        + (f"error_log {files.error_log} warn;\n" if files.log_terms else ""),
        "page.conf": f"alias {files.page}/;\n",
    }


def metrics_server(address: str, sockets: Mapping[str, Path]) -> str:
    """Return a server that answers Prometheus: nginx's own figures, and those of each instance at its socket."""
    instances = [
        f"    location = /metrics/{name} {{ proxy_pass http://unix:{path}; }}\n" for name, path in sockets.items()
    ]
    return "".join(
        [
            f"server {{\n    listen {address};\n    access_log off;\n    location = /nginx {{ stub_status; }}\n",
            *instances,
            "    location / { return 404; }\n}\n",
        ]
    )


def _link_page(page: Path) -> None:
    """Make the directory that nginx serves: links to the files of the page and of Swagger UI.

    The checkout's path may have characters with a meaning in nginx's configuration; that of `page` has none.
    """
    shutil.rmtree(page, ignore_errors=True)
    page.mkdir()
    swagger_ui = Path(sysconfig.get_path("purelib")) / SWAGGER_UI
    for file in [*PAGE.iterdir(), *(swagger_ui / name for name in SWAGGER_UI_FILES)]:
        (page / file.name).symlink_to(file)


def command(nginx: Sequence[str], configuration: Path, prefix: Path, log: Path) -> list[str]:
    """Return the command line that runs nginx in the foreground, with the configuration in a directory.

    nginx keeps its own files in the directory `prefix`, and its logs in the directory `log`.
    """
    # As root, nginx would give its workers to a user who may not enter the data directory.
    user = "user root; " if os.geteuid() == 0 else ""
    files = ["-p", f"{prefix}/", "-c", str(configuration / CONFIGURATION.name), "-e", f"{log}/{ERROR_LOG}"]
    return [*nginx, *files, "-g", f"{user}daemon off;"]


def _lanes(instances: Sequence[Sequence[Path]]) -> list[tuple[list[Path], list[Path]]]:
    """Return for each lane the sockets of the workers that are asked first, and of the other workers.

    The second half of each instance's workers serves searches. The only worker of an instance serves both lanes.
    """
    half = (max(map(len, instances)) + 1) // 2
    lanes = [[sockets[:half] for sockets in instances], [sockets[half:] or sockets for sockets in instances]]
    return [
        ([sockets[0] for sockets in lane], [socket for sockets in lane for socket in sockets[1:]]) for lane in lanes
    ]


def _servers(first: Sequence[Path], others: Sequence[Path], capacity: Capacity) -> str:
    """Return the servers of an upstream: nginx asks an idle one of the first, otherwise one of the others."""
    share = min(capacity.waiting // len(others or first), capacity.backlog)
    waiting = f"max_fails=0 max_conns={max(share, 1)}"  # 0 would be no limit
    if not others:  # requests wait for the first
        return "".join(f"server unix:{socket} {waiting};\n" for socket in first)
    lines = [f"server unix:{socket} max_fails=0 max_conns=1;\n" for socket in first]
    return "".join([*lines, *(f"server unix:{socket} {waiting} backup;\n" for socket in others)])
