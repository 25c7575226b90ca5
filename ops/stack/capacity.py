"""The capacity of a stack: connections, open files, queue and memory, derived from the number of workers."""

import resource
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ops.errors import OperatorError
from ops.stack.data_directory import instance_names
from ops.system.cgroups import Limit

SPARE_CONNECTIONS = 8  # of the service's account, beside one for each worker: max_user_connections in db/my.cnf
OPERATOR_CONNECTIONS = 10  # of MySQL's root, beside those of the service
LEAST_CONNECTIONS = 100  # max_connections in db/my.cnf
TABLE_FILES = 2 * 256  # of MySQL: two for each entry of table_open_cache in db/my.cnf
OPEN_FILES = 16384  # of each process at most: worker_rlimit_nofile in lb/limits.conf
LEAST_OPEN_FILES = 1024
NGINX_CONNECTIONS = 8000  # worker_connections in lb/limits.conf
NGINX_FILES = 64  # logs, listeners and temporary files
# Of the connections of nginx, each lane may use a quarter for requests that wait: one to the client, one to a worker.
CONNECTIONS_PER_WAITING = 8
# In MB: MySQL without searches (tests/unit/test_memory.py), and each connection; an instance, and each worker.
MYSQL_MEMORY, CONNECTION_MEMORY = 746, 1.4
INSTANCE_MEMORY, WORKER_MEMORY = 30, 20


class Capacity(NamedTuple):
    """Connections that MySQL allows the service and in all; open files of each process; connections of nginx; queue.

    `waiting` is the number of requests of a lane that may wait for workers, and `backlog` those of one socket.
    """

    user_connections: int
    connections: int
    open_files: int
    nginx_connections: int
    waiting: int
    backlog: int


def plan_capacity(instances: int, workers: int, limits: Mapping[str, Limit] | None = None) -> Capacity:
    """Return the capacity of a stack on this machine; raise OperatorError, with the numbers, if it has too little."""
    total = instances * workers
    user_connections = total + SPARE_CONNECTIONS
    connections = max(LEAST_CONNECTIONS, user_connections + OPERATOR_CONNECTIONS)
    size = f"{instances} x {workers} workers need"
    files, needed = _open_files(), max(LEAST_OPEN_FILES, connections + TABLE_FILES + 10)
    if files < needed:
        raise OperatorError(f"{size} {needed} open files, and a process may open {files}; raise ulimit -Hn")
    for name, available, megabytes in _memory(instances, workers, connections, limits):
        if available < megabytes:
            raise OperatorError(f"{size} {megabytes:.0f} MB {name}, and there are {available:.0f} MB; lower --workers")
    nginx_connections = min(NGINX_CONNECTIONS, files - NGINX_FILES)
    return Capacity(
        user_connections,
        connections,
        files,
        nginx_connections,
        nginx_connections // CONNECTIONS_PER_WAITING,
        _backlog(),
    )


def limit_open_files(files: int) -> None:
    """Let this process and its children open so many files. With many more, mysqld would reserve memory for them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def _open_files() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)


def _backlog() -> int:
    """Return how many connections may wait in the queue of one socket."""
    return int(Path("/proc/sys/net/core/somaxconn").read_text())


def _memory(
    instances: int, workers: int, connections: int, limits: Mapping[str, Limit] | None
) -> list[tuple[str, float, float]]:
    """Return for each limit of memory where it is, how many MB it allows, and how many are needed."""
    each, mysql = INSTANCE_MEMORY + workers * WORKER_MEMORY, connections * CONNECTION_MEMORY
    if not limits:
        return [("on this machine", _machine_memory() / 1e6, instances * each + mysql)]
    instance = instance_names(instances)[0]
    return [
        ("for MySQL", limits["mysql"].memory / 1e6, MYSQL_MEMORY + mysql),
        ("for each instance", limits[instance].memory / 1e6, each),
    ]


def _machine_memory() -> int:
    (line,) = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")]
    return int(line.split()[1]) * 1024
