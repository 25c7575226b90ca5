"""Start everything and keep it running."""

import argparse
import subprocess
import sys
import time

from ops.commands import options
from ops.console import show_progress
from ops.errors import OperatorError
from ops.stack.data_directory import DataDirectory
from ops.stack.supervisor import StackSupervisor
from ops.system.cgroups import divide


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the size of the stack and its limits."""
    options.add_stack(parser)
    parser.add_argument("--instances", type=options.count, default=2, metavar="N", help="API instances (default: 2)")
    parser.add_argument(
        "--workers", type=options.count, default=4, metavar="N", help="processes per instance (default: 4)"
    )
    parser.add_argument("--cpus", type=float, metavar="N", help="CPUs for everything together (default: no limit)")
    parser.add_argument("--memory", type=int, metavar="MB", help="memory for everything together (default: no limit)")
    parser.add_argument("--detach", action="store_true", help="return when it is ready, and let it run")


def run(arguments: argparse.Namespace) -> int:
    """Run the stack until it is told to stop; with --detach, return once it is ready."""
    directory = options.data_directory(arguments)
    directory.make()
    if arguments.detach:
        _detach(directory)
        return 0
    if bool(arguments.cpus) != bool(arguments.memory):
        raise OperatorError("--cpus and --memory go together")
    limits = divide(arguments.cpus, arguments.memory << 20, arguments.instances) if arguments.cpus else None
    with directory.locked():
        StackSupervisor(directory, arguments.port, arguments.instances, arguments.workers, limits).run(show_progress)
    return 0


def _detach(directory: DataDirectory) -> None:
    """Start `up` in the background and return once it is ready; what it says meanwhile is said here."""
    if directory.is_locked():
        with directory.locked():
            pass
    log = directory.log / "up.log"
    words = [word for word in sys.argv[1:] if word != "--detach"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-P", "-m", "ops", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    with log.open() as said:
        while process.poll() is None:
            print(said.read(), end="", flush=True)
            state = directory.last_state()
            if state and state.ready and state.pid == process.pid:
                break
            time.sleep(0.05)
        print(said.read(), end="", flush=True)
    if process.poll() is not None:
        raise OperatorError(f"it did not start (see above, and {directory.log})")
