"""Stop the stack."""

import argparse
import os
import signal
import time

from ops.commands import options
from ops.console import show

add_arguments = options.add_stack


def run(arguments: argparse.Namespace) -> int:
    """Ask the stack to stop, and wait until it has stopped."""
    directory = options.data_directory(arguments)
    os.kill(directory.running().pid, signal.SIGTERM)
    while directory.is_locked():
        time.sleep(0.05)
    show("stopped")
    return 0
