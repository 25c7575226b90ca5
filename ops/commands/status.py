"""Show the uptime, the number of people, and the processes of a running stack."""

import argparse
import time
from collections.abc import Mapping, Sequence

import pymysql

from ops.commands import options
from ops.console import show_json
from ops.errors import OperatorError
from ops.stack.availability import ANSWER_TIMEOUT
from ops.stack.data_directory import DataDirectory, State
from ops.stack.members import Member, primary_directory, read_members
from ops.stack.mysql import connect_as_root
from ops.system.processes import Usage, usage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the stack, and the form of the output."""
    options.add_stack(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the state of the stack on a data directory."""
    directory = options.data_directory(arguments)
    state = directory.running()
    rows = _count_rows(directory)
    members = read_members(directory) if len(directory.members) > 1 else []
    components = {name: usage(component.pid) for name, component in state.components.items()}
    if arguments.json:
        show_json(_document(directory, state, rows, components, members))
    else:
        print(_table(state, rows, components))
        if members:
            print(_member_table(members))
    return 0


def _count_rows(directory: DataDirectory) -> int | None:
    """Return the number of people, or None if MySQL does not answer."""
    try:
        timeouts = {"connect_timeout": ANSWER_TIMEOUT, "read_timeout": ANSWER_TIMEOUT}
        socket = primary_directory(directory).mysql_socket
        with connect_as_root(socket, **timeouts) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT SUM(pessoas) FROM rinha.contagem")  # NULL while the first `up` makes the tables
            (count,) = cursor.fetchall()[0]
            return None if count is None else int(count)
    except (pymysql.MySQLError, OperatorError):
        return None


def _document(
    directory: DataDirectory,
    state: State,
    rows: int | None,
    components: Mapping[str, Usage],
    members: Sequence[Member],
) -> dict[str, object]:
    return {
        "port": state.port,
        "pid": state.pid,
        "data": str(directory.path),
        "ready": state.ready,
        "uptime_seconds": _uptime(state),
        "rows": rows,
        "components": {
            name: {"pid": state.components[name].pid, **used._asdict()} for name, used in components.items()
        },
        **({"members": [one.document() for one in members]} if members else {}),
    }


def _table(state: State, rows: int | None, components: Mapping[str, Usage]) -> str:
    people = "MySQL does not answer" if rows is None else f"{rows:,} rows"
    lines = [
        f"http://localhost:{state.port}  up {_uptime(state)} s  {people}",
        f"{'component':<9}{'pid':>9}{'processes':>11}{'memory':>10}{'CPU':>10}",
    ]
    for name, used in components.items():
        pid, memory = state.components[name].pid, used.memory >> 20
        lines.append(f"{name:<9}{pid:>9}{used.processes:>11}{memory:>7} MB{used.cpu:>8.1f} s")
    return "\n".join(lines)


def _member_table(members: Sequence[Member]) -> str:
    lines = [f"{'member':<9}{'state':>12}{'role':>12}{'behind':>10}"]
    for one in members:
        behind = "" if one.behind is None else f"{one.behind:,}"
        lines.append(f"{one.number:<9}{one.state:>12}{one.role:>12}{behind:>10}")
    return "\n".join(lines)


def _uptime(state: State) -> int:
    return round(time.time() - state.since)
