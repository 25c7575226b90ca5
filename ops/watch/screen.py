"""A screen of the terminal that is drawn again and again."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ops import terminal

HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
CELL = tuple[str, str]  # a text, and its style

Draw = Callable[[Sequence[Sequence[CELL]]], None]


@contextmanager
def screen() -> Iterator[Draw]:
    """Yield a function that draws lines in place of the lines before. At the end the terminal is as it was.

    PERF: rich's Live and Table take 12 ms to draw the board, and this takes 0.3 ms.
    """
    console, paint = terminal.console(), terminal.painter()

    def draw(lines: Sequence[Sequence[CELL]]) -> None:
        width, height = console.size
        painted = ("".join(paint(text, style) for text, style in _cropped(line, width)) for line in lines[:height])
        sys.stdout.write(HOME + f"{END_OF_LINE}\n".join(painted) + END_OF_SCREEN)
        sys.stdout.flush()

    with console.screen():
        yield draw


def _cropped(line: Sequence[CELL], width: int) -> Iterator[CELL]:
    for text, style in line:
        yield text[:width], style
        width = max(width - len(text), 0)
