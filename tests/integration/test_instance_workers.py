"""An instance replaces workers that die, and workers end after their supervisor has died."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from ops.system.processes import usage
from tests.support.instance import LISTENERS, LONG_TIMEOUTS, Instance, Start, service_environment
from tests.support.mysql import locked_table, waiting_statements
from tests.support.people import create_person
from tests.support.polling import TIMEOUT, wait_until
from tests.support.stack import RunningStack


@LISTENERS
def test_a_killed_worker_is_replaced_while_the_instance_answers(start: Start, listener: str) -> None:
    """Every address answers: the queue of a dead worker waits for its successor."""
    instance = start(listener)
    instance.wait_for_workers(2)
    before = instance.workers()
    victim = min(before)

    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        assert instance.get("/health/live").status == 200
        workers = instance.workers()
        return len(workers) == 2 and victim not in workers

    wait_until(replaced, describe=instance.log)
    assert before & instance.workers() == before - {victim}
    assert f"worker {victim} died" in instance.log()


def test_requests_wait_for_the_next_worker_when_the_last_is_killed(start: Start) -> None:
    """The supervisor holds the queue, so no connection is refused."""
    instance = start(WORKERS="1")
    wait_until(instance.workers)
    (victim,) = instance.workers()

    os.kill(victim, signal.SIGKILL)

    assert instance.get("/health/ready").status == 200
    assert victim not in instance.workers()


CANNOT_START = """
import os, sys, time
from service.server import Supervisor

def make_app(worker):
    with open(os.environ["STARTS"], "a") as starts:
        print(time.monotonic(), file=starts)
    raise RuntimeError("cannot start")

Supervisor([os.environ["LISTEN"]], make_app, 1).run()
"""


def test_a_worker_that_cannot_start_is_started_again_after_growing_delays(stack: RunningStack, directory: Path) -> None:
    """During the delays the instance uses no CPU and writes no log."""
    starts = directory / "starts"
    starts.touch()
    environment = service_environment(stack, LISTEN=f"unix:{directory}/api.sock", WORKERS="1", STARTS=str(starts))
    instance = Instance(environment, directory / "log", ("-c", CANNOT_START))
    try:
        wait_until(lambda: len(starts.read_text().split()) >= 3, describe=instance.log)
        began, used = time.monotonic(), usage(instance.process.pid).cpu
        wait_until(lambda: instance.log().count("the next starts in") >= 5, describe=instance.log)
        spent, passed = usage(instance.process.pid).cpu - used, time.monotonic() - began

        times = [float(line) for line in starts.read_text().split()]
        delays = [late - early for early, late in pairwise(times)]
        assert all(delay >= least for delay, least in zip(delays, (0.1, 0.2, 0.4, 0.8), strict=False)), delays
        assert spent < passed / 4
        assert instance.log().count("worker failed") == len(times) == 5
        assert "RuntimeError: cannot start" in instance.log()

        instance.process.terminate()
        assert instance.wait() == 0, "it does not stop during a delay"
    finally:
        instance.kill()


def test_workers_end_after_their_supervisor_is_killed(start: Start) -> None:
    """They end in time despite open connections."""
    instance = start(SHUTDOWN_TIMEOUT="0.5")
    instance.wait_for_workers(2)
    with instance.connect() as kept:
        kept.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert kept.recv(9999).startswith(b"HTTP/1.1 200")

        instance.process.kill()
        instance.wait()

        wait_until(lambda: not instance.workers(), timeout=10, describe=lambda: "workers outlive their supervisor")


def test_workers_whose_supervisor_is_killed_finish_the_request_in_flight(start: Start, stack: RunningStack) -> None:
    instance = start(**LONG_TIMEOUTS)
    instance.wait_for_workers(2)
    with ThreadPoolExecutor() as pool, locked_table(stack) as root:
        answer = pool.submit(create_person, instance.client)
        wait_until(lambda: waiting_statements(root) == 1, describe=instance.log)

        instance.process.kill()
        instance.wait()
        instance.wait_for_workers(1)
        root.execute("UNLOCK TABLES")

        assert answer.result(TIMEOUT).status == 201
    wait_until(lambda: not instance.workers())
