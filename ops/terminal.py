"""What the terminal can show: colours, unless NO_COLOR is set, and its width."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Paint = Callable[[str, str], str]  # returns a text in a style, such as "bold red"


@cache
def console() -> "Console":
    """Return rich's console on standard output. It writes text as it is: rich guesses nothing from it."""
    # Imported here: most commands print no colour, and rich takes as long to import as they take to run.
    from rich.console import Console  # noqa: PLC0415

    return Console(highlight=False, markup=False, emoji=False)


def painter() -> Paint:
    """Return a function that gives a text a style, or returns it as it is where there are no colours."""
    if not is_screen() or os.environ.get("NO_COLOR"):
        return lambda text, style: text
    from rich.color import ColorSystem  # noqa: PLC0415
    from rich.style import Style  # noqa: PLC0415

    def paint(text: str, style: str) -> str:
        return Style.parse(style).render(text, color_system=ColorSystem.STANDARD) if style else text

    return paint


def is_screen() -> bool:
    """Return whether standard output is a terminal on which a screen can be drawn again and again.

    A process in the background would draw over what the person types.
    """
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("", "dumb"):
        return False
    try:
        return os.tcgetpgrp(sys.stdout.fileno()) == os.getpgrp()
    except OSError:  # it is the terminal of no session of ours
        return True


def aligned(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return rows of texts that a terminal shows in columns. The last column keeps its lengths."""
    from rich.cells import cell_len  # noqa: PLC0415 - some characters take two columns, and others none

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return [
        [*(text + " " * (width - cell_len(text)) for text, width in zip(row, widths[:-1], strict=False)), row[-1]]
        for row in rows
    ]
