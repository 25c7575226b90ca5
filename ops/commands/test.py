"""Run the tests with tox, without the long ones; --all runs those too, and other arguments go to pytest."""

import argparse
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from ops import ROOT, environment
from ops.console import ignore_progress, show_progress
from ops.errors import OperatorError
from ops.stack import mysql, nginx
from ops.system.packages import install


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option for the long tests, and the arguments of pytest."""
    parser.add_argument("--all", action="store_true", help="run the long tests too; must be the first argument")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="an argument of pytest")


def run(arguments: argparse.Namespace) -> int:
    """Install tox on first use, and run it; return its exit status."""
    if not Path(sys.executable).with_name("tox").exists():
        show_progress("installing tox")
        base = getattr(sys, "_base_executable", sys.executable)
        install(base, [str(ROOT / "requirements-tox.txt")], show_progress)
    download = threading.Thread(target=download_servers)
    download.start()
    # Not the script `tox`, which has the path that the checkout had when tox was installed.
    command = [sys.executable, "-P", "-m", "tox", "run", "-e", "tests", "--", *arguments.arguments]
    status = subprocess.run(command, cwd=ROOT, env=environment.of_tests()).returncode
    download.join()
    return status


def download_servers() -> None:
    """Download MySQL and nginx if the host has none, while tox makes its environment."""
    with suppress(OperatorError, OSError):  # the tests that need the servers report the error
        mysql.find_programs(ignore_progress)
        nginx.find_program(ignore_progress)
