"""Stop what `up` started."""

import argparse
import os
import signal
import time

from ops.commands import options
from ops.console import say

add_arguments = options.add_stack


def run(arguments: argparse.Namespace) -> int:
    """Ask the stack to stop, and wait until it has."""
    folder = options.folder(arguments)
    os.kill(folder.running().pid, signal.SIGTERM)
    while folder.is_locked():
        time.sleep(0.05)
    say("stopped")
    return 0
