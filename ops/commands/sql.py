"""Open the mysql client on the database of the stack, as MySQL's root."""

import argparse
import os
import signal
import sys
from typing import NoReturn

from ops import environment
from ops.commands import options
from ops.stack.members import primary_directory
from ops.stack.mysql import MySQLServer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the stack, and the statements."""
    options.add_stack(parser)
    parser.add_argument("-e", "--execute", metavar="STATEMENTS", help="execute these statements and exit")


def run(arguments: argparse.Namespace) -> NoReturn:
    """Replace this process by the mysql client."""
    directory = options.data_directory(arguments)
    directory.running()
    server = MySQLServer(primary_directory(directory))
    is_typed = arguments.execute is not None or sys.stdin.isatty()
    client = server.operator_command() if is_typed else server.client_command()
    command = [*client, "--default-character-set=utf8mb4", "rinha"]
    if arguments.execute is not None:
        command += ["-e", arguments.execute]
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as programs expect; Python ignores the signal
    os.execve(command[0], command, environment.listed("HOME", *environment.TERMINAL))
