"""A network of the members of a MySQL group, each in a network namespace, so that a test can cut members off.

Only root can make network namespaces, with the command `ip`. Clients reach the members by their unix sockets, which the
network does not matter to.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ops.console import ignore_progress
from ops.stack.mysql import find_programs

SUBNET = "10.213.77"  # MySQL lets members of private networks join

# Enters the namespace of a member, with the member's address in place of the loopback interface's.
_WRAPPER = r"""#!/bin/bash
number= arguments=()
for argument in "${@:2}"; do
    case $argument in --server-id=*) number=${argument#*=} ;; esac
    arguments+=("$argument")
done
[ "$number" ] || exec {mysqld} "$1" {options} "${arguments[@]}"
for index in "${!arguments[@]}"; do
    case ${arguments[index]} in
        --bind-address=* | --report-host=*) arguments[index]=${arguments[index]/127.0.0.1/{subnet}.$number} ;;
    esac
done
exec ip netns exec {name}-$number {mysqld} "$1" {options} "${arguments[@]}"
"""


class MemberNetwork:
    """A bridge, and a namespace with one interface for each member."""

    def __init__(self, members: int, programs: Path) -> None:
        """Write a program `mysqld` that runs each member in its namespace, and a program `mysql`."""
        self._name = f"rinha{os.getpid()}"
        self._members = range(1, members + 1)
        found = find_programs(ignore_progress)
        programs.mkdir()
        text = _WRAPPER
        for name, value in {
            "mysqld": " ".join(found.mysqld), "options": " ".join(found.options), "subnet": SUBNET,
            "name": self._name,
        }.items():  # fmt: skip
            text = text.replace(f"{{{name}}}", value)
        _write_program(programs / "mysqld", text)
        _write_program(programs / "mysql", f'#!/bin/bash\nexec {" ".join(found.mysql)} "$@"\n')

    def make(self) -> None:
        """Make the bridge and the namespaces."""
        _ip("link", "add", self._name, "type", "bridge")
        _ip("link", "set", self._name, "up")
        for number in self._members:
            namespace = f"{self._name}-{number}"
            _ip("netns", "add", namespace)
            _ip("link", "add", self._port(number), "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("link", "set", self._port(number), "master", self._name, "up")
            _ip("-n", namespace, "address", "add", f"{SUBNET}.{number}/24", "dev", "eth0")
            for interface in ("eth0", "lo"):
                _ip("-n", namespace, "link", "set", interface, "up")

    def remove(self) -> None:
        """Remove what `make` has made."""
        for number in self._members:
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", f"{self._name}-{number}")
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", self._name)

    def cut_off(self, *numbers: int) -> None:
        """Let members and the others not reach each other: all packets are lost."""
        for number in numbers:
            _ip("link", "set", self._port(number), "down")

    def connect(self) -> None:
        """Let all members reach each other."""
        for number in self._members:
            _ip("link", "set", self._port(number), "up")

    def _port(self, number: int) -> str:
        return f"{self._name}v{number}"


@contextmanager
def member_network(members: int, programs: Path) -> Iterator[MemberNetwork]:
    """Make a network, in which a stack of this process's environment runs the members of its group."""
    network = MemberNetwork(members, programs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        try:
            network.make()
            yield network
        finally:
            network.remove()


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
