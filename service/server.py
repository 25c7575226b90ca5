"""The processes of an instance: a supervisor that forks bjoern workers. The only module that knows bjoern."""

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
from service.signals import wait_for_signal

BACKLOG = 4096  # connections that may wait for a worker; the kernel's somaxconn limits them too
MAX_PAUSE = 5.0  # seconds between two attempts to start a worker that keeps dying

_PR_SET_PDEATHSIG = 1
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

log = logging.getLogger(__name__)


class Supervisor:
    """Keeps one worker serving on each of `addresses`. Workers with the same address share its socket.

    `make_app` is called in each worker after the fork, with the worker's number, so that no connection is shared. A
    worker that replaces another has the same number. Raises OSError if an address cannot be bound.
    """

    def __init__(self, addresses: Sequence[str], make_app: Callable[[int], Any], shutdown_timeout: float) -> None:
        self._addresses = addresses
        self._make_app = make_app
        self._shutdown_timeout = shutdown_timeout
        self._workers: dict[int, tuple[int, float]] = {}  # number and start time, by process id
        self._backoffs = [Backoff(MAX_PAUSE) for _ in addresses]
        self._listeners = {address: _bind(address) for address in dict.fromkeys(addresses)}
        paths = [address.removeprefix("unix:") for address in addresses if address.startswith("unix:")]
        self._socket_files = {path: os.stat(path) for path in paths}

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; then finish the requests in flight within the shutdown timeout."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        log.info("serving on %s with %d processes", ", ".join(self._listeners), len(self._addresses))
        while True:
            missing = set(range(len(self._addresses))) - {number for number, _ in self._workers.values()}
            pauses = {number: self._backoffs[number].remaining() for number in missing}
            for number in [number for number in missing if not pauses[number]]:
                self._start(number, self._listeners[self._addresses[number]])
            wait = max(min(pauses.values(), default=60.0), 0.01)
            if wait_for_signal(_SIGNALS, wait) not in (None, signal.SIGCHLD):
                break
            self._reap()
        self._drain()

    def _start(self, number: int, listener: socket.socket) -> None:
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            for other in self._listeners.values():
                if other is not listener:
                    other.close()
            _work(listener, lambda: self._make_app(number), parent, self._shutdown_timeout)
        self._workers[pid] = number, time.monotonic()

    def _reap(self) -> None:
        """Forget the workers that have ended."""
        for pid, (number, started) in list(self._workers.items()):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
            del self._workers[pid]
            pause = self._backoffs[number].record_death(time.monotonic() - started)
            log.warning("worker %d died; the next starts in %.1f s", pid, pause)

    def _drain(self) -> None:
        """Close the addresses, empty their queues, and end the workers; kill those that exceed the timeout."""
        log.info("stopping")
        deadline = time.monotonic() + self._shutdown_timeout
        self._close_addresses(deadline)
        self._end_workers(deadline)
        log.info("stopped")

    def _close_addresses(self, deadline: float) -> None:
        """Take no new connections, and wait until the workers have taken those that wait."""
        # Without its socket file an instance gets no new connection, and the load balancer uses the other instance.
        # Connections that wait in a socket's queue are still served.
        for path, file in self._socket_files.items():
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), file):  # otherwise a successor listens there
                    os.unlink(path)
        queues = select.poll()
        for listener in self._listeners.values():
            queues.register(listener, select.POLLIN)
        while queues.poll(0) and time.monotonic() < deadline:
            time.sleep(0.01)
        for listener in self._listeners.values():
            if listener.family != socket.AF_UNIX:
                listener.shutdown(socket.SHUT_RD)  # closes the port for all processes that share it

    def _end_workers(self, deadline: float) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGTERM)
        while self._workers and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
            self._workers = {pid: one for pid, one in self._workers.items() if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        for pid in self._workers:
            log.warning("worker %d did not finish in time", pid)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _bind(address: str) -> socket.socket:
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(path):
            os.unlink(path)  # left behind by a killed process
        listener.bind(path)
        os.chmod(path, 0o666)  # noqa: S103 - the load balancer is another user
    else:
        host, _, port = address.rpartition(":")
        is_ipv6 = host.startswith("[")
        listener = socket.create_server(
            (host.strip("[]"), int(port)),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            dualstack_ipv6=host == "[::]" and socket.has_dualstack_ipv6(),
        )
    listener.setblocking(False)
    listener.listen(BACKLOG)
    return listener


def _work(listener: socket.socket, make_app: Callable[[], Any], parent: int, shutdown_timeout: float) -> NoReturn:
    """Serve until SIGTERM; then exit without running the parent's cleanup."""

    def stop(number: int, frame: FrameType | None) -> None:
        # On SIGINT, and on no other signal, bjoern stops accepting and ends after its last connection. A connection
        # that stays open would keep it for ever; the alarm ends the process.
        signal.setitimer(signal.ITIMER_REAL, shutdown_timeout)
        os.kill(os.getpid(), signal.SIGINT)

    status = 1
    try:
        # Until bjoern runs, Python handles SIGINT, unless this process has inherited that it is ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == parent:
            bjoern.server_run(listener, make_app())
        status = 0
    except KeyboardInterrupt:
        status = 0
    except Exception as error:
        log.exception("worker failed: %s", error)
    os._exit(status)
