"""A stand-in for the programs of Debian that unpack packages."""

from pathlib import Path

from ops.errors import OperatorError

SITES = [
    "http://deb.example/debian-security",
    "http://ppa.example/ubuntu",
    "https://mirror.example/debian",
    "http://other.example/debian/",
]


class Apt:
    """Stands in for every program that is run: it knows some sites, and two packages of 3 MB together."""

    def __init__(self, sites: list[str]) -> None:
        self.sites = sites
        self.commands: list[list[str]] = []
        self.fails_at = ""

    def run(self, command: list[str], apt_settings: str = "", directory: Path | None = None) -> str:
        """Run a program; return its output."""
        self.commands.append(command)
        if self.fails_at and self.fails_at in command:
            raise OperatorError("apt-get failed")
        if command[:2] == ["apt-get", "indextargets"]:
            return "\n".join(self.sites) + "\n"
        if "--print-uris" in command:
            uri = "'http://mirror.example/debian/pool/{0}.deb' {0}.deb {1} SHA256:00\n"
            return uri.format("one_1", 1_000_000) + uri.format("two_2", 2_000_000)
        if "--download-only" in command:
            assert directory
            for name in ("one_1.deb", "two_2.deb"):
                (directory / name).touch()
        if command[0] == "dpkg-deb":
            Path(command[3], Path(command[2]).name).touch()
        return ""

    def count(self, argument: str) -> int:
        """Return how many commands had this argument."""
        return sum(argument in command for command in self.commands)


def ignore(line: str) -> None:
    """Take a line of progress."""
