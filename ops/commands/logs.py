"""Show what nginx and the instances have logged, joined by request."""

import argparse
import re
import signal
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import attrgetter
from pathlib import Path

from ops import terminal
from ops.commands import options
from ops.errors import OperatorError
from ops.stack.nginx import ACCESS_LOG
from ops.watch.follow import Follower
from ops.watch.joined_log import Entry, Joiner, Message, join, parse_message, parse_messages, parse_request
from ops.watch.log_text import LogFilter, LogText

INTERVAL = 0.2  # seconds between two looks at the files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the stack, and those that choose lines."""
    options.add_stack(parser)
    add = parser.add_argument
    add("--follow", "-f", action="store_true", help="show what is logged from now on, until Ctrl-C")
    add("--slow", type=int, metavar="MS", help="show requests that took MS milliseconds or more")
    add("--errors", action="store_true", help="show requests that failed, and warnings and errors of the instances")
    add("--show-terms", action="store_true", help="show search terms and names, which are hidden otherwise")


def run(arguments: argparse.Namespace) -> int:
    """Print the entries of the joined log."""
    directory = options.data_directory(arguments).log
    if not directory.is_dir():
        raise OperatorError(f"{directory} does not exist; no stack has run there, and --port or --data names another")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the reader may end first: that ends this process quietly
    accepted = LogFilter(arguments.slow, arguments.errors)
    text = LogText(terminal.painter(), arguments.show_terms)
    for entry in _follow(directory) if arguments.follow else _read(directory):
        if accepted.accepts(entry):
            print("\n".join(text.lines(entry)), flush=arguments.follow)
    return 0


def _read(directory: Path) -> Iterator[Entry]:
    """Yield the entries of all files, also of the rotated ones."""
    requests = filter(None, map(parse_request, _lines(directory / ACCESS_LOG)))
    messages = [parse_messages(_lines(path), path.stem) for path in _instance_logs(directory)]
    yield from join(requests, messages)


def _follow(directory: Path) -> Iterator[Entry]:
    """Yield the entries that come from now on, for ever."""
    access = Follower(directory / ACCESS_LOG)
    instances: dict[Path, Follower] = {path: Follower(path) for path in _instance_logs(directory)}
    joiner = Joiner()
    while True:
        # The instances first: nginx writes its line when an instance has answered.
        for path in _instance_logs(directory):  # a stack with more instances may start
            instances.setdefault(path, Follower(path, from_start=True))
        yield from _entries(joiner, instances, access.read())
        yield from joiner.release(time.time())
        time.sleep(INTERVAL)


def _entries(joiner: Joiner, instances: dict[Path, Follower], access_lines: bytes) -> Iterator[Entry]:
    messages: Iterable[Message] = chain.from_iterable(
        (parse_message(line, path.stem, time.time()) for line in follower.read().splitlines())
        for path, follower in instances.items()
    )
    for message in sorted(messages, key=attrgetter("time")):
        yield from joiner.add(message)
    for request in filter(None, map(parse_request, access_lines.splitlines())):
        yield from joiner.add(request)


def _instance_logs(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.glob("api*.log")) if re.fullmatch(r"api\d+\.log", path.name)]


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a log: first those of the rotated files NAME.N, of which the greatest number is the oldest."""
    rotated = {int(file.suffix[1:]): file for file in path.parent.glob(f"{path.name}.*") if file.suffix[1:].isdigit()}
    for file in [*(rotated[number] for number in sorted(rotated, reverse=True)), path]:
        if file.exists():
            with file.open("rb") as lines:
                yield from lines
