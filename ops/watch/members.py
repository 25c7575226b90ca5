"""The members of a stack's MySQL group, as each tells of itself."""

from collections.abc import Sequence

from ops.stack.data_directory import DataDirectory
from ops.stack.members import Member, read_members

INTERVAL = 1.0  # seconds between two looks, each of which makes several connections
TIMEOUT = 0.5  # seconds in which a member answers


class MembersWatch:
    """Asks the members of a group in whatever thread `look` is called. A single server has no members."""

    def __init__(self, directory: DataDirectory) -> None:
        self.members: Sequence[Member] = ()
        self._directory = directory

    def look(self) -> None:
        """Ask once."""
        self.members = read_members(self._directory, TIMEOUT) if len(self._directory.members) > 1 else ()
