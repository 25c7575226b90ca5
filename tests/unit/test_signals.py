"""A wait for a blocked signal tells a signal from the end of the wait, also if the process is stopped meanwhile."""

import subprocess
import sys

import pytest

from tests.support.polling import TIMEOUT
from tests.support.stack import ops_environment

WAIT = """
import os, signal, time
from service.signals import wait_for_signal
signals = {signal.SIGTERM, signal.SIGCHLD}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
waiting = os.getpid()
if not os.fork():
    time.sleep(0.2)
    for number in (NUMBERS):
        os.kill(waiting, number)
        time.sleep(0.6)
    os._exit(0)
while arrived := wait_for_signal(signals, 0.5):
    print(arrived.name)
print(arrived)
"""


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ("signal.SIGSTOP, signal.SIGCONT", ["None"]),
        ("signal.SIGTERM,", ["SIGTERM", "None"]),
        ("", ["SIGCHLD", "None"]),
    ],
)
def test_only_a_signal_that_arrives_is_returned(numbers: str, expected: list[str]) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", WAIT.replace("NUMBERS", numbers)],
        env=ops_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )

    assert completed.stdout.split() == expected, completed.stderr
