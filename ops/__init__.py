"""What an operator uses: the commands of ./rinha, and the stack that they run on this machine."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ("requirements.txt", "requirements-ops.txt", "requirements-page.txt")  # that the script `rinha` installs
