"""What a load needs from the stack that it is played on."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from ops.console import Progress
from ops.system.cgroups import Consumption, Limit


class Stack(Protocol):
    """A running stack without people, started for one load."""

    limits: Mapping[str, Limit]  # that are applied to each component; empty if none is
    workers: int  # of each API instance
    versions: dict[str, str]
    kind: str

    def consumption(self) -> Mapping[str, Consumption]:
        """Return what each component has used."""

    def query(self, statement: str) -> str:
        """Return the result of a statement of MySQL's root: lines of columns that tabs separate."""


# Starts a stack and stops it at the end of the context. The path is the directory for what is kept of it.
StartStack = Callable[[Path, Progress], AbstractContextManager[Stack]]
