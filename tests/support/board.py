"""What the board of `top` shows while something happens to a stack."""

import re
import threading
import time
from types import TracebackType
from typing import Self

from ops.watch.board import View, board
from ops.watch.stack import StackWatch
from tests.support.polling import wait_until
from tests.support.stack import RunningStack

INTERVAL = 0.2  # seconds between two pictures
WIDTH = 200  # columns, so that no column is left out
DISK_FULL, OPEN_TRANSACTION = "full disk", "open transaction"

_CREATIONS_FAIL, _NO_CREATION_FAILS = r"^creations +(\S+ +){3}[1-9]", r"^creations +(\S+ +){3}0"
_LOG_HAS_NO_ROOM = "^the disk is full: requests are missing here"  # then nginx cannot log the creations that fail

# The signs of each fault, as patterns that pictures of the board contain. docs/operations.md tells what they mean.
SIGNS: dict[str, tuple[str, ...]] = {
    "kill a worker": (r"^api[12] +runs .* 0 +[1-9]\d*$",),
    "kill an instance": (r"^api[12] +runs .* [1-9]\d* +0$",),
    "kill nginx": (r"^nginx +runs .* [1-9]\d* +0$",),
    "kill MySQL": (r"^mysql +runs .* [1-9]\d* +0$", r"^MySQL has not answered for", _CREATIONS_FAIL),
    "stop MySQL (SIGSTOP)": (r"^MySQL has not answered for [1-9]", r"^mysql +runs .* 0 +0$", _CREATIONS_FAIL),
    "kill everything": (r"nothing is running", r"up \d+ s  restarts 0"),
    "down and up": (r"nothing is running", r"up \d+ s  restarts 0"),
    "restart both instances": (r"^api1 +runs .* [1-9]\d* +0$", r"^api2 +runs .* [1-9]\d* +0$", _NO_CREATION_FAILS),
    DISK_FULL: (r"read-only, because the disk is nearly full", f"{_CREATIONS_FAIL}|{_LOG_HAS_NO_ROOM}"),
    OPEN_TRANSACTION: (r"waiting for a lock [1-9]", _CREATIONS_FAIL),
}


class RecordedBoard:
    """The pictures of the board of a stack, for as long as a context lasts."""

    def __init__(self, stack: RunningStack) -> None:
        self.pictures: list[str] = []
        self._watch = StackWatch(stack.directory, stack.port, 100)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._draw), threading.Thread(target=self._ask)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: "people" in "".join(self.pictures[-1:]), describe=self.last)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._watch.close()

    def last(self) -> str:
        """Return the last picture."""
        return "".join(self.pictures[-1:])

    def wait_for(self, sign: str) -> None:
        """Wait until a picture has had a sign."""
        wait_until(lambda: any(re.search(sign, one, re.MULTILINE) for one in self.pictures), 30, self.last)

    def _draw(self) -> None:
        while not self._ended.is_set():
            lines = board(self._watch.look(INTERVAL), View(), WIDTH)
            self.pictures.append("\n".join("".join(text for text, _ in line) for line in lines))
            time.sleep(INTERVAL)

    def _ask(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._watch.database.look()
