"""The board shows the numbers of a snapshot at every width."""

from typing import Any

import pytest

from ops.stack.members import Member
from ops.watch.board import BAD, COMPONENT_ORDERS, HELP, NOTE, REQUEST_ORDERS, Line, View, board, duration
from ops.watch.components import ComponentNumbers
from ops.watch.database import DatabaseNumbers
from ops.watch.requests import KINDS, KindNumbers
from ops.watch.stack import Snapshot

GB = 2**30
NATURAL = View()
LONGEST_MESSAGE = 47  # columns; a message stands on one line
REQUESTS = {kind: KindNumbers(0, {}, 0, 0.0, {}) for kind in KINDS} | {
    "creations": KindNumbers(
        1_000_010, {"2xx": 1_000_000, "5xx": 7, "499": 3}, 5, 1234.5, {"p50": 2, "p95": 3, "p99": 900, "max": 1500}
    ),
    "searches": KindNumbers(12, {"2xx": 10, "4xx": 2}, 9, 1.5, {"p50": 3, "p95": 5, "p99": 1200, "max": 1300}),
}  # fmt: skip
COMPONENTS = {
    "mysql": ComponentNumbers(True, 10, 1, 0.79, 0.8, GB, 2 * GB, 0.25, 0, 0),
    "api1": ComponentNumbers(True, 20, 5, 0.2, 0.3, 2 * GB, 2 * GB, 0.0, 1, 3),
    "nginx": ComponentNumbers(False, 30, 0, 0.0, 0, 0, 0, 0.0, 12, 0),
}


def snapshot(**fields: Any) -> Snapshot:
    database = DatabaseNumbers(people=46_000, syncs=4, running=3, lock_waits=2)
    return Snapshot(0.0, 9999, True, True, 93_784.0, 60.0, True, REQUESTS, COMPONENTS, database)._replace(**fields)


def plain(line: Line) -> str:
    return "".join(text for text, _ in line)


def lines_of(view: View = NATURAL, width: int = 110, **fields: Any) -> list[str]:
    return [plain(line) for line in board(snapshot(**fields), view, width)]


def cells(lines: list[str], name: str) -> list[str]:
    (line,) = (line for line in lines if line.startswith(name))
    return line.split()[1:]


def styles_of(lines: list[Line], row: str) -> dict[str, str]:
    """Return the styles of the cells of the line that begins with `row`."""
    (line,) = (line for line in lines if plain(line).startswith(row))
    return {text.strip(): style for text, style in line}


def test_the_board_shows_every_number() -> None:
    lines = lines_of()

    assert cells(lines, "creations") == ["1,234.5", "1,000,000", "0", "10", "5", "2", "3", "900", "1,500"]
    assert cells(lines, "searches") == ["1.5", "10", "2", "0", "9", "3", "5", "1,200", "1,300"]
    assert cells(lines, "reads") == ["0.0", "0", "0", "0", "0", "-", "-", "-", "-"]
    assert cells(lines, "mysql") == ["runs", "1", "0.79", "0.80", "25", "%", "1,024", "2,048", "0", "0"]
    assert cells(lines, "nginx") == ["dead", "0", "0.00", "-", "0", "%", "0", "-", "12", "0"]
    assert lines[0].startswith("http://localhost:9999  up 1 d 2 h  restarts 16")
    assert "people 46,000  syncs of the index 4  statements now 3  waiting for a lock 2" in lines


@pytest.mark.parametrize("width", [40, 60, 80, 110, 300])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int) -> None:
    silent = DatabaseNumbers(read_only=True, silent_seconds=12.3)
    for view in (View(), View("1", "c", paused=True)):
        lines = lines_of(view, width, database=silent, log_has_room=False)
        assert max(map(len, lines)) <= max(width, LONGEST_MESSAGE), lines
    narrow = lines_of(width=width)
    assert cells(narrow, "creations")[0] == "1,234.5", "the rate is always there"
    assert "10" in cells(narrow, "creations"), "the errors are always there"
    assert cells(narrow, "nginx")[0] == "dead", "the state is always there"


def test_the_members_of_a_group_have_a_table() -> None:
    members = [
        Member(1, "ONLINE", "PRIMARY", True, "", 0),
        Member(2, "RECOVERING", "SECONDARY", True, "", 1200),
        Member(3),
    ]
    lines = board(snapshot(members=members), View(), 110)
    texts = [plain(line) for line in lines]

    place = next(number for number, text in enumerate(texts) if text.startswith("member"))
    assert [text.split() for text in texts[place : place + 4]] == [
        ["member", "state", "role", "behind"],
        ["mysql", "ONLINE", "PRIMARY", "0"],
        ["mysql2", "RECOVERING", "SECONDARY", "1,200"],
        ["mysql3", "AWAY", "-", "-"],
    ]
    styles = {text.strip(): style for line in lines[place : place + 4] for text, style in line}
    assert (styles["ONLINE"], styles["RECOVERING"], styles["AWAY"], styles["1,200"]) == ("", BAD, BAD, NOTE)
    assert not [line for line in lines_of() if line.startswith("member")]


def test_what_is_wrong_stands_out() -> None:
    database = DatabaseNumbers(read_only=True, members=3, online=2, silent_seconds=3.0)
    lines = board(snapshot(database=database, log_has_room=False), View(), 200)

    for row, text in (
        ("MySQL has not", "MySQL has not answered for 3.0 s"),
        ("MySQL has not", "read-only, because the disk is nearly full"),
        ("MySQL has not", "2 of 3 members of the MySQL group are online"),
        ("the disk", "the disk is full: requests are missing here"),
        ("http", "restarts 16"), ("nginx", "dead"), ("nginx", "12"), ("api1", "3"),
        ("creations", "10"), ("creations", "1,500"), ("searches", "1,200"),
    ):  # fmt: skip
        assert styles_of(lines, row)[text] == "bold red", text
    for row, text in (("mysql", "0.79"), ("mysql", "25 %"), ("creations", "5"), ("searches", "9")):
        assert styles_of(lines, row)[text] == "yellow", text
    for row, text in (("mysql", "runs"), ("reads", "0"), ("mysql", "1,024"), ("creations", "900")):
        assert styles_of(lines, row)[text] == "", text
    assert "people unknown" in styles_of(lines, "MySQL has not")


def test_a_stack_that_does_not_run_has_its_requests_only() -> None:
    lines = lines_of(running=False, components={})

    assert "nothing is running; ./rinha up starts the stack" in lines[0]
    assert cells(lines, "creations")
    assert not [line for line in lines if line.startswith(("component", "people"))]
    assert "starting" in lines_of(ready=False)[0]


@pytest.mark.parametrize(
    ("key", "first"),
    [
        ("1", "creations"), ("2", "creations"), ("3", "searches"), ("4", "searches"),
        ("c", "mysql"), ("m", "api1"), ("r", "nginx"),
    ],
)  # fmt: skip
def test_a_key_sorts_the_requests_or_the_components(key: str, first: str) -> None:
    lines = lines_of(View().after(key))
    heading = "requests" if key in REQUEST_ORDERS else "component"

    place = [line.split()[0] if line else "" for line in lines].index(heading)
    assert lines[place + 1].startswith(first)
    assert f"sorted by {({**REQUEST_ORDERS, **COMPONENT_ORDERS})[key][0]}" in lines[0]
    assert View().after(key).after("0") == View()


def test_keys_choose_the_view() -> None:
    assert View().after("p").paused
    assert not View().after("p").after("p").paused
    assert View().after("x") == View()
    assert "paused" in lines_of(View(paused=True))[0]
    keys = {*REQUEST_ORDERS, *COMPONENT_ORDERS, "q", "p", "0"}
    assert {text.removeprefix("sort by ").split()[0] for text in HELP} == keys


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.9, "0 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (93_784, "1 d 2 h")]
)
def test_durations_have_two_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
