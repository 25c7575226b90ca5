"""Start the stack and keep it running until Ctrl-C or ./rinha down."""

import argparse
import os
import subprocess
import sys
import time

from ops import environment
from ops.commands import options
from ops.console import show_progress, write
from ops.errors import OperatorError
from ops.stack.budget import divide_budget
from ops.stack.data_directory import DataDirectory
from ops.stack.logs import Logs
from ops.stack.members import choose_members
from ops.stack.supervisor import StackPlan, StackSupervisor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the stack, its size and its limits."""
    options.add_stack(parser)
    add = parser.add_argument
    add("--instances", type=options.count, default=2, metavar="N", help="the number of API instances (default: 2)")
    add(
        "--workers",
        type=options.count,
        default=4,
        metavar="N",
        help="the number of workers of each instance (default: 4)",
    )
    add(
        "--members",
        type=options.members,
        metavar="N",
        help="run a MySQL group of N members; a data directory keeps its number (default: 1)",
    )
    add("--cpus", type=float, metavar="N", help="limit all components together to N CPUs; needs --memory")
    add("--memory", type=int, metavar="MB", help="limit all components together to MB megabytes; needs --cpus")
    add(
        "--log-limit",
        type=options.megabytes,
        default=1024,
        metavar="MB",
        help="the size of all log files together (default: %(default)s)",
    )
    add(
        "--metrics-port",
        type=options.port,
        metavar="PORT",
        help="count and time the requests, and answer Prometheus on this port of localhost",
    )
    add("--log-terms", action="store_true", help="log search terms and names, and nginx's errors, which quote them")
    add("--detach", action="store_true", help="run the stack in the background, and return once it is ready")


def run(arguments: argparse.Namespace) -> int:
    """Run the stack until it is told to stop; with --detach, return once it is ready."""
    os.umask(0o077)  # what the stack writes is for this user alone
    directory = options.data_directory(arguments)
    directory.make()
    if arguments.detach:
        _detach(directory, arguments.log_limit << 20)
        return 0
    if bool(arguments.cpus) != bool(arguments.memory):
        raise OperatorError("--cpus and --memory go together; give both, or none for no limits")
    limits = divide_budget(arguments.cpus, arguments.memory << 20, arguments.instances) if arguments.cpus else None
    plan = StackPlan(
        arguments.port,
        arguments.instances,
        arguments.workers,
        arguments.log_limit << 20,
        limits,
        arguments.metrics_port,
        arguments.log_terms,
    )
    with directory.locked():
        choose_members(directory, arguments.members)
        StackSupervisor(directory, plan).run(show_progress)
    return 0


def _detach(directory: DataDirectory, log_limit: int) -> None:
    """Start `up` in the background, print its output, and return once the stack is ready; raise OperatorError."""
    if directory.is_locked():
        with directory.locked():  # raises OperatorError
            pass
    Logs(directory.log, log_limit).rotate()  # so that `up` does not rename up.log while it is read below
    log = directory.log / "up.log"
    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    log.touch()
    start = log.stat().st_size
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-P", "-m", "ops", *arguments],
            env=environment.of_commands(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    with log.open(errors="replace") as lines:
        lines.seek(start)
        try:
            while process.poll() is None:
                write(lines.read())
                state = directory.last_state()
                if state and state.ready and state.pid == process.pid:
                    break
                time.sleep(0.05)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
        write(lines.read())
    if process.poll() is not None:
        raise OperatorError(f"the stack did not start; the reason is above, and the logs are in {directory.log}")
