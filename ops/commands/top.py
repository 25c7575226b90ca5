"""Show the requests, components and database of a running stack, live."""

import argparse
import json
import signal
import sys
import time
from itertools import count

from ops import terminal
from ops.commands import options
from ops.periodic import repeated
from ops.watch import members
from ops.watch.board import View, board
from ops.watch.keyboard import key_within, single_keys
from ops.watch.screen import screen
from ops.watch.stack import StackWatch

INTERVAL = 0.5  # seconds
SLOW = 100  # milliseconds
SMALLEST_INTERVAL = 0.1  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the stack, and those of the looks at it."""
    options.add_stack(parser)
    add = parser.add_argument
    add("--interval", type=_interval, default=INTERVAL, metavar="SECONDS", help="between two looks (default: 0.5)")
    add("--slow", type=int, default=SLOW, metavar="MS", help="a slow request takes MS milliseconds (default: 100)")
    add("--looks", type=int, metavar="N", help="end after N looks")


def run(arguments: argparse.Namespace) -> int:
    """Show the stack until q, Ctrl-C or the last look: as a board on a terminal, otherwise as lines of JSON."""
    directory = options.data_directory(arguments)
    directory.running()
    watch = StackWatch(directory, arguments.port, arguments.slow)
    watch.look(arguments.interval)
    watch.database.look()
    watch.members.look()
    try:
        with repeated(watch.database.look, arguments.interval), repeated(watch.members.look, members.INTERVAL):
            if terminal.is_screen():
                _show_board(watch, arguments.interval, arguments.looks)
            else:
                _print_lines(watch, arguments.interval, arguments.looks)
    finally:
        watch.close()
    return 0


def _print_lines(watch: StackWatch, interval: float, looks: int | None) -> None:
    """Print a line of JSON at each look."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the reader may end first: that ends this process quietly
    for number in count(1):
        time.sleep(interval)
        print(json.dumps(watch.look(interval).document()), flush=True)
        if number == looks:
            break


def _show_board(watch: StackWatch, interval: float, looks: int | None) -> None:
    """Draw the board at each look, and after each key."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the terminal is put in order
    view, snapshot = View(), watch.look(interval)
    with single_keys() as has_keys, screen() as draw:
        for number in count(1):
            until = time.monotonic() + interval
            draw(board(snapshot, view, terminal.console().width))
            while (left := until - time.monotonic()) > 0:
                key = key_within(left, has_keys)
                if key == "q":
                    return
                if key:
                    view = view.after(key)
                    draw(board(snapshot, view, terminal.console().width))
            latest = watch.look(interval)
            snapshot = snapshot if view.paused else latest
            if number == looks:
                return


def _interval(text: str) -> float:
    """Return the seconds in `text`; raise ValueError or ArgumentTypeError, as argparse expects."""
    seconds = float(text)
    if not SMALLEST_INTERVAL <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"must be from {SMALLEST_INTERVAL} to 3600")
    return seconds
