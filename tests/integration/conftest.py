"""What several modules of this directory share: API instances, and a stack that tests stop and start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.instance import SHARED, Instance, Start, listen_setting, service_environment
from tests.support.polling import wait_until
from tests.support.processes import kill_processes_of
from tests.support.stack import RunningStack, free_port


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory whose path is short enough for a socket."""
    return tmp_path_factory.mktemp("api")


@pytest.fixture
def start(stack: RunningStack, directory: Path) -> Iterator[Start]:
    """Return a function that starts an instance and returns once it accepts connections."""
    instances: list[Instance] = []

    def start(listener: str = SHARED, **settings: str) -> Instance:
        defaults = {"LISTEN": listen_setting(listener, directory), "WORKERS": "2"}
        environment = service_environment(stack, **{**defaults, **settings})
        instance = Instance(environment, directory / f"{len(instances)}.log")
        instances.append(instance)
        wait_until(
            lambda: instance.open_addresses() == len(instance.addresses) or instance.process.poll() is not None,
            describe=instance.log,
        )
        assert instance.process.poll() is None, instance.log()
        return instance

    yield start
    for instance in instances:
        instance.kill()


@pytest.fixture(scope="module")
def cli_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield a stack that does not run yet; its data stay from test to test."""
    stack = RunningStack(free_port(), tmp_path_factory.mktemp("cli"))
    yield stack
    stack.rinha("down")
    kill_processes_of(stack.data)


@pytest.fixture
def running_cli_stack(cli_stack: RunningStack) -> RunningStack:
    """Return the stack, running."""
    if cli_stack.rinha("status").returncode:
        cli_stack.up()
    return cli_stack


@pytest.fixture
def stopped_cli_stack(cli_stack: RunningStack) -> RunningStack:
    """Return the stack, not running."""
    if cli_stack.rinha("status").returncode == 0:
        cli_stack.down()
    return cli_stack
