"""Show processes, uptime, rows and memory."""

import argparse
import json
import subprocess
import time

from ops.commands import options
from ops.stack.mysql import MySQLServer
from ops.system.processes import usage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the stack, and the form of the output."""
    options.add_stack(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what runs on a data directory."""
    directory = options.data_directory(arguments)
    state = directory.running()
    said = subprocess.run(
        [*MySQLServer(directory).client_command(), "-N", "-e", "SELECT pessoas FROM rinha.contagem"],
        capture_output=True,
        text=True,
    )
    rows = int(said.stdout) if said.returncode == 0 else None
    components = {name: usage(component.pid) for name, component in state.components.items()}
    uptime = round(time.time() - state.since)
    if arguments.json:
        document = {
            "port": state.port,
            "pid": state.pid,
            "data": str(directory.path),
            "ready": state.ready,
            "uptime_seconds": uptime,
            "rows": rows,
            "components": {
                name: {"pid": state.components[name].pid, **used._asdict()} for name, used in components.items()
            },
        }
        print(json.dumps(document))
        return 0
    people = "MySQL does not answer" if rows is None else f"{rows:,} rows"
    print(f"http://localhost:{state.port}  up {uptime} s  {people}")
    print(f"{'component':<8}{'pid':>9}{'processes':>11}{'memory':>10}{'CPU':>10}")
    for name, used in components.items():
        print(
            f"{name:<8}{state.components[name].pid:>9}{used.processes:>11}{used.memory >> 20:>7} MB{used.cpu:>8.1f} s"
        )
    return 0
