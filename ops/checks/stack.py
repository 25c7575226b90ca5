"""Checks the machine and the processes: components, disk, versions, settings, limits."""

import re
import shutil
from configparser import ConfigParser
from contextlib import suppress
from pathlib import Path

from pymysql.cursors import Cursor

from ops import REQUIREMENTS, ROOT
from ops.checks.finding import Finding, query
from ops.stack.capacity import OPERATOR_CONNECTIONS
from ops.stack.data_directory import DataDirectory, State, instance_names
from ops.stack.members import member_name
from ops.stack.mysql import CONFIGURATION, OLDEST_VERSION
from ops.system.processes import is_stopped, started_at

# The settings on which durability, search and memory depend.
SETTINGS = (
    "ngram_token_size", "innodb_ft_enable_stopword", "innodb_ft_cache_size", "innodb_ft_result_cache_limit",
    "innodb_flush_log_at_trx_commit", "innodb_doublewrite", "transaction_isolation", "character_set_server",
    "collation_server",
)  # fmt: skip


def check_components(directory: DataDirectory, state: State) -> Finding:
    """Look for components that do not run, and for a stopped supervisor."""
    # The state lacks a component that waits to be started again.
    alive = [name for name, component in state.components.items() if started_at(component.pid) == component.started_at]
    servers = [member_name(number) for number in range(1, len(directory.members) + 1)]
    group = ["group"] if len(servers) > 1 else []
    expected = [*servers, *group, "reserve", *instance_names(state.instances), "nginx"]
    dead = [name for name in expected if name not in alive]
    detail = f"not running: {', '.join(dead)}" if dead else f"running: {', '.join(alive)}"
    if is_stopped(state.pid):
        remedy = f"fg in the shell of ./rinha up, or kill -CONT {state.pid}, continues it"
        return Finding("components", False, f"{detail}; ./rinha up is stopped and restarts nothing", remedy)
    return Finding("components", not dead, detail, f"./rinha up restarts what has died; see {directory.log}")


def check_disk(directory: DataDirectory) -> Finding:
    """Compare the free space with what a table needs when it is rebuilt."""
    free = shutil.disk_usage(directory.path).free
    used = sum(file.stat().st_size for file in (directory.path / "mysql/rinha").glob("*") if file.is_file())
    is_low = (directory.path / "index.suspect").exists()
    detail = f"{free >> 20:,} MB free, {used >> 20:,} MB of tables"
    if is_low:
        detail += "; the reserve is in use, so no person is stored"
    remedy = f"free space on the disk of {directory.path}: when tables are rebuilt, they need their size once more"
    return Finding("disk", free > used and not is_low, detail, remedy)


def check_versions(cursor: Cursor) -> Finding:
    """Compare the versions of MySQL and of the Python packages with those that the checkout needs."""
    (version,) = query(cursor, "SELECT VERSION()")[0]
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    installed = [ROOT / ".venv" / name for name in REQUIREMENTS]
    # Without the first copy, .venv has the tools of the tests only, and the service has another interpreter.
    is_current = not installed[0].exists() or all(
        path.exists() and path.read_bytes() == (ROOT / path.name).read_bytes() for path in installed
    )
    detail = f"MySQL {version}; Python packages {'as in' if is_current else 'older than'} requirements.txt"
    oldest = ".".join(map(str, OLDEST_VERSION))
    remedy = f"MySQL must be {oldest} or later; ./rinha deploy installs the packages of requirements.txt"
    return Finding("versions", is_current and numbers >= OLDEST_VERSION, detail, remedy)


def check_settings(cursor: Cursor) -> Finding:
    """Compare the settings of the server with those of db/my.cnf."""
    file = CONFIGURATION / "my.cnf"
    parser = ConfigParser(allow_no_value=True, inline_comment_prefixes=("#",), interpolation=None)
    parser.read_string(file.read_text())
    differences = []
    for name in SETTINGS:
        configured = parser["mysqld"].get(name, "")
        (current,) = query(cursor, f"SELECT @@GLOBAL.{name}")[0]
        if _normalised(configured) != _normalised(str(current)):
            differences.append(f"{name} is {current} instead of {configured}")
    return Finding(
        "settings",
        not differences,
        "; ".join(differences) or f"{len(SETTINGS)} settings are as in db/my.cnf",
        f"./rinha down and ./rinha up apply {file}",
    )


def _normalised(value: str) -> str:
    """Return the value of an option as MySQL prints it: ON is 1."""
    return {"ON": "1", "OFF": "0"}.get(value.upper(), value)


def check_limits(cursor: Cursor, directory: DataDirectory, state: State) -> Finding:
    """Compare the connections and open files with what the number of workers needs."""
    workers = state.instances * state.workers
    connections, of_service = query(cursor, "SELECT @@GLOBAL.max_connections, @@GLOBAL.max_user_connections")[0]
    limits = ""
    with suppress(OSError, KeyError):  # nginx does not run, which is another finding
        limits = Path(f"/proc/{state.components['nginx'].pid}/limits").read_text()
    files = re.search(r"Max open files +(\d+)", limits)
    clients = re.search(r"worker_connections (\d+)", (directory.run / "nginx/limits.conf").read_text())
    is_enough = of_service >= workers and connections >= workers + OPERATOR_CONNECTIONS
    return Finding(
        "limits",
        is_enough and bool(files and clients and int(files[1]) >= int(clients[1])),
        f"{connections} connections for {workers} workers; nginx may open {files[1] if files else 'no'} files "
        f"for {clients[1] if clients else 'no'} connections",
        "./rinha down and ./rinha up derive the limits from the number of workers again",
    )
