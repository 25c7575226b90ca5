"""Processes: bind once, fork bjoern workers, restart them, drain. The only module that knows bjoern."""

import contextlib
import ctypes
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn

import bjoern

from service.backoff import Backoff

BACKLOG = 4096  # connections that may wait; the kernel's somaxconn is the other bound
LONGEST_PAUSE = 5.0  # seconds between two tries to start a worker that does not stay up

_PR_SET_PDEATHSIG = 1
_AWAITED = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

log = logging.getLogger(__name__)


class Supervisor:
    """Keeps a worker serving on each of `addresses`; those with the same one share its socket.

    `make_app` is called in each worker after the fork, so that no connection is shared, with the worker's
    number: one that is started in the place of another has the same. Raises OSError for an address that
    cannot be had.
    """

    def __init__(self, addresses: Sequence[str], make_app: Callable[[int], Any], shutdown_timeout: float) -> None:
        self._addresses = addresses
        self._make_app = make_app
        self._shutdown_timeout = shutdown_timeout
        self._workers: dict[int, tuple[int, float]] = {}  # number and time of start, by process id
        self._backoff = Backoff(LONGEST_PAUSE)
        self._bound = {address: _bind(address) for address in dict.fromkeys(addresses)}
        paths = [address.removeprefix("unix:") for address in addresses if address.startswith("unix:")]
        self._files = {path: os.stat(path) for path in paths}

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; then finish what is in flight, within the timeout."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        log.info("serving on %s with %d workers", ", ".join(self._bound), len(self._addresses))
        while True:
            missing = set(range(len(self._addresses))) - {number for number, _ in self._workers.values()}
            if not self._backoff.remaining():
                for number in missing:
                    self._start(number, self._bound[self._addresses[number]])
            wait = max(self._backoff.remaining(), 0.01) if missing else 60.0
            arrived = signal.sigtimedwait(_AWAITED, wait)
            if arrived and arrived.si_signo != signal.SIGCHLD:
                break
            self._reap()
        self._drain()

    def _start(self, number: int, listening: socket.socket) -> None:
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            for other in self._bound.values():
                if other is not listening:
                    other.close()
            _work(listening, lambda: self._make_app(number), parent, self._shutdown_timeout)
        self._workers[pid] = number, time.monotonic()

    def _reap(self) -> None:
        """Forget the workers that ended; the sooner after its start one died, the longer the next waits."""
        for pid, (_, started) in list(self._workers.items()):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
            del self._workers[pid]
            pause = self._backoff.record_death(time.monotonic() - started)
            log.warning("worker %d died; the next starts in %.1f s", pid, pause)

    def _drain(self) -> None:
        log.info("stopping")
        deadline = time.monotonic() + self._shutdown_timeout
        # From here nobody can connect: the load balancer goes to the other instance. Whoever has
        # connected is waiting in a socket's queue, and the workers empty it before they stop.
        for path, file in self._files.items():
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), file):  # else a successor has taken the path over
                    os.unlink(path)
        queues = select.poll()
        for listening in self._bound.values():
            queues.register(listening, select.POLLIN)
        while queues.poll(0) and time.monotonic() < deadline:
            time.sleep(0.01)
        for listening in self._bound.values():
            if listening.family != socket.AF_UNIX:
                listening.shutdown(socket.SHUT_RD)  # closes the port for all who share it
        for pid in self._workers:
            os.kill(pid, signal.SIGTERM)
        while self._workers and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
            self._workers = {pid: one for pid, one in self._workers.items() if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        for pid in self._workers:
            log.warning("worker %d did not finish in time", pid)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        log.info("stopped")


def _bind(address: str) -> socket.socket:
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        bound = socket.socket(socket.AF_UNIX)
        if os.path.exists(path):
            os.unlink(path)  # left behind by a process that was killed
        bound.bind(path)
        os.chmod(path, 0o666)  # noqa: S103 - the load balancer is another user
    else:
        host, _, port = address.rpartition(":")
        bound = socket.create_server((host, int(port)))
    bound.setblocking(False)
    bound.listen(BACKLOG)
    return bound


def _work(listening: socket.socket, make_app: Callable[[], Any], parent: int, shutdown_timeout: float) -> NoReturn:
    """Serve until told to stop, then leave without a word to the parent's cleanup."""

    def stop(number: int, frame: FrameType | None) -> None:
        # bjoern stops accepting and ends with its last connection on SIGINT, and on nothing else.
        # A connection that stays open would hold it for ever: the alarm's default action ends it.
        signal.setitimer(signal.ITIMER_REAL, shutdown_timeout)
        os.kill(os.getpid(), signal.SIGINT)

    status = 1
    try:
        signal.signal(signal.SIGTERM, stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == parent:
            bjoern.server_run(listening, make_app())
        status = 0
    except KeyboardInterrupt:
        status = 0
    except Exception:
        log.exception("worker failed")
    os._exit(status)
