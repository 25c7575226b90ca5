"""Long work shows how much is done and how long the rest takes."""

import pytest

from ops import progress, terminal
from ops.console import Share, show_progress
from ops.progress import ProgressLine


class Clock:
    """The time, which passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_without_a_terminal_a_line_comes_at_intervals_and_at_the_end(clock: Clock) -> None:
    line, shown = ProgressLine(), []
    for done in range(96):
        shown.append(line.text(f"step {done}", done, 95))
        clock.now += 1

    due = [*range(0, 95, 10), 95]
    assert [text.partition(",")[0] for text in shown if text] == [f"step {done}" for done in due]
    assert shown[20].startswith("step 20, 21 %")
    assert shown[95] == "step 95, 100 %"


def test_the_time_that_the_rest_takes_is_in_the_line(clock: Clock) -> None:
    line = ProgressLine()
    for done in range(41):
        shown = line.text("step", done, 100)
        clock.now += 1

    assert shown == "step, 40 %, 60 s left"


def test_other_work_begins_anew(clock: Clock) -> None:
    line = ProgressLine()

    assert line.text("a", 50, 100) == "a, 50 %"
    assert line.text("b", 0, 100) == "b, 0 %"
    assert line.text("c", 1, 50) == "c, 2 %"
    assert line.text("c", 2, 50) == ""
    line.end()
    assert line.text("c", 3, 50) == "c, 6 %"


def test_a_terminal_shows_a_bar_on_one_line_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console  # noqa: PLC0415

    console = Console(force_terminal=True, width=60, color_system=None)
    monkeypatch.setattr(terminal, "console", lambda: console)
    monkeypatch.setattr(terminal, "is_screen", lambda: True)

    for text in ("a step", "a step of many words that would not fit on the line of this terminal"):
        shown = ProgressLine().text(text, 50, 100)
        assert "50%" in shown
        assert "a step" in shown
        assert len(shown) <= 60 - len("rinha: ")
        assert "\n" not in shown


def test_a_share_is_shown_by_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    show_progress(Share("half", 1, 2))
    show_progress(Share("of nothing", 0, 0))
    show_progress("another step")
    show_progress("")

    assert capsys.readouterr().out == "rinha: half, 50 %\nrinha: of nothing\nrinha: another step\n"
