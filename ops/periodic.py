"""Work that is repeated while other work goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(action: Callable[[], None], interval: float) -> Iterator[None]:
    """Call `action` in a thread every `interval` seconds until the end of the context."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(interval):
            action()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
