"""Stop the stack."""

import argparse

from ops.commands import options
from ops.console import show
from ops.polling import wait_until
from ops.stack.component import STOP_TIMEOUT
from ops.system.processes import ask_to_end, started_at

add_arguments = options.add_stack


def run(arguments: argparse.Namespace) -> int:
    """Ask the stack to stop, and wait until it has stopped; raise OperatorError if it does not stop."""
    directory = options.data_directory(arguments)
    state = directory.running()
    timeout = STOP_TIMEOUT * (len(state.components) + 1)

    def has_stopped() -> bool:
        if not directory.is_locked() or not started_at(state.pid):
            return True
        ask_to_end(state.pid)  # each time: Ctrl-Z, or output to a terminal of another job, may stop `up` again
        return False

    failure = f"./rinha up has not stopped in {timeout:.0f} s; kill -KILL {state.pid} ends it and its components"
    wait_until(has_stopped, failure, timeout)
    show("stopped")
    return 0
