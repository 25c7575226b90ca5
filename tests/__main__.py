"""Runs pytest with branch coverage of service/: `python -m tests [--all] [ARGUMENT of pytest ...]`.

Without arguments, or with --all as the first one, the tests run in parallel. Only such runs without other arguments
are held to the coverage floor of tox.ini.
"""

import subprocess
import sys

# The tests of a module run in one worker, because they share fixtures.
PARALLEL = ["--numprocesses=4", "--dist=loadfile", "--no-loadscope-reorder"]


def main(arguments: list[str]) -> int:
    """Run the tests; return the exit status of pytest, or else of the coverage report."""
    parallel = PARALLEL if not arguments or arguments[0] == "--all" else []
    python = [sys.executable, "-m"]
    subprocess.run([*python, "coverage", "erase"], check=True)
    status = subprocess.run([*python, "coverage", "run", "-m", "pytest", *parallel, *arguments]).returncode
    if status:
        return status
    subprocess.run([*python, "coverage", "combine", "--quiet"], check=True)
    is_complete = arguments in ([], ["--all"])
    floor = [] if is_complete else ["--fail-under=0"]
    return subprocess.run([*python, "coverage", "report", *floor]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
