"""Run the tests with tox; every argument goes to pytest."""

import argparse
import subprocess
import sys
from pathlib import Path

from ops import ROOT
from ops.console import show_progress
from ops.system.debian import run_where_bjoern_builds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what pytest is given."""
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="an argument of pytest")


def run(arguments: argparse.Namespace) -> int:
    """Install tox on first use, and run it; return its exit status."""
    tox = Path(sys.executable).with_name("tox")
    if not tox.exists():
        show_progress("installing tox")
        base = getattr(sys, "_base_executable", sys.executable)
        pip = [base, "-m", "pip", "--python", sys.executable, "install", "--quiet", "--require-hashes"]
        status = run_where_bjoern_builds([*pip, "--requirement", str(ROOT / "requirements-dev.txt")], show_progress)
        if status:
            return status
    return subprocess.run([str(tox), "run", "-e", "tests", "--", *arguments.arguments], cwd=ROOT).returncode
