"""Installs Python packages with hashes into this virtual environment, which has no pip.

    python -m ops.system.packages BASE REQUIREMENTS…

BASE is the Python whose pip installs the packages of the files REQUIREMENTS. This module uses the standard library
only, because it runs before anything is installed.
"""

import subprocess
import sys
from collections.abc import Sequence

from ops import defects, environment
from ops.console import Progress
from ops.errors import OperatorError
from ops.system.debian import run_where_bjoern_builds


def install(base: str, requirements: Sequence[str], progress: Progress) -> None:
    """Install the packages of complete lists by the pip of the Python `base`; raise OperatorError if that fails."""
    files = [word for file in requirements for word in ("--requirement", file)]
    command = [*_pip_install(base), "--quiet", "--no-compile", "--no-deps", "--require-hashes", *files]
    if run_where_bjoern_builds(command, progress):
        raise OperatorError("the packages cannot be installed (see above)")


def _pip_install(base: str) -> list[str]:
    pip = [base, "-m", "pip", "--python", sys.executable]
    variables = environment.listed(*environment.HOME, *environment.PYTHON)
    if not subprocess.run([*pip, "--version"], env=variables, capture_output=True).returncode:
        return [*pip, "install"]
    # pip before 22.3 has no --python. This interpreter runs it, and would count the packages beside it as installed.
    # It would also build with the setuptools of this environment, which has none.
    script = "import os, pip; print(os.path.dirname(os.path.abspath(pip.__file__)))"
    completed = subprocess.run([base, "-P", "-c", script], env=variables, capture_output=True, text=True)
    if completed.returncode:
        raise OperatorError(f"{base} has no pip; install it (Debian, Ubuntu: apt install python3-pip)")
    return [sys.executable, completed.stdout.removesuffix("\n"), "install", "--ignore-installed", "--use-pep517"]


def main(arguments: Sequence[str]) -> int:
    """Install packages; return the exit status: 1 with the reason on standard error."""
    try:
        base, *requirements = arguments
        install(base, requirements, lambda line: print(f"rinha: {line}", file=sys.stderr))
        return 0
    except KeyboardInterrupt:
        return 130
    except OperatorError as error:
        reason = str(error)
    except Exception as error:
        reason = defects.report(error)
    print(f"rinha: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
