"""The line that shows how much of long work is done, and how long the rest takes."""

import time
from typing import TYPE_CHECKING

from ops import terminal

if TYPE_CHECKING:
    from rich.progress import Progress

INTERVAL = 0.2  # seconds between two lines on a terminal
QUIET_INTERVAL = 10.0  # seconds between two lines elsewhere, where each one stays
BAR_WIDTH = 20  # columns
WIDEST = 1000  # columns of a line before it is cut


class ProgressLine:
    """The line of the work that goes on at the moment. Other work has another total, or begins anew."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._done = self._total = 0.0
        self._shown_at = 0.0

    def text(self, text: str, done: float, total: float) -> str:
        """Return the line for work of which `done` of `total` is done; "" if it is too early for another line.

        The first line and the last one are always due.
        """
        if not self._bar or total != self._total or done < self._done:
            self._bar, self._shown_at = _bar(total), 0.0
        self._done, self._total = done, total
        task = self._bar.tasks[0]
        self._bar.update(task.id, completed=done, description=text)
        now = time.monotonic()
        is_live = terminal.is_screen()
        if done < total and now - self._shown_at < (INTERVAL if is_live else QUIET_INTERVAL):
            return ""
        self._shown_at = now
        return _picture(self._bar) if is_live else _sentence(text, done / total, task.time_remaining)

    def end(self) -> None:
        """Forget the work."""
        self._bar = None


def _bar(total: float) -> "Progress":
    # Imported here, as in ops.terminal. Without start(), rich draws nothing by itself and has no thread.
    from rich import progress  # noqa: PLC0415

    columns = (
        progress.BarColumn(BAR_WIDTH, complete_style="green", finished_style="green"),
        progress.TaskProgressColumn(style="none"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("left ", style="progress.remaining"),
        progress.TextColumn("{task.description}", style="none", markup=False),
    )
    bar = progress.Progress(*columns, console=terminal.console(), get_time=time.monotonic)
    bar.add_task("", total=total)
    return bar


def _picture(bar: "Progress") -> str:
    """Return the bar as one line, of which the terminal shows as much as it has room for."""
    from rich.segment import Segment  # noqa: PLC0415

    console = terminal.console()
    line = console.render_lines(bar, console.options.update(width=WIDEST), pad=False)[0]
    with console.capture() as captured:
        for segment in Segment.adjust_line_length(line, console.width - len("rinha: ") - 1, pad=False):
            console.print(segment.text, style=segment.style or "", end="", overflow="ignore", crop=False)
    return captured.get()


def _sentence(text: str, share: float, left: float | None) -> str:
    rest = f", {left:.0f} s left" if left else ""
    return f"{text}, {100 * share:.0f} %{rest}"
