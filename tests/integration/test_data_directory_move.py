"""A data directory may be moved to any path while its stack does not run."""

from pathlib import Path

import pytest

from ops.stack.data_directory import DataDirectory
from tests.support.commands import status_of
from tests.support.people import remember_people
from tests.support.polling import wait_until
from tests.support.processes import check_no_process_left, kill_processes_of, processes_of
from tests.support.stack import SMALL, RunningStack


@pytest.mark.long
def test_a_data_directory_may_be_moved_to_a_very_long_path(stopped_cli_stack: RunningStack, tmp_path: Path) -> None:
    """The path is longer than the path of a socket may be."""
    check_moved(stopped_cli_stack, tmp_path / ("long" * 30) / ("longer" * 30))


@pytest.mark.long
def test_a_data_directory_may_be_moved_to_a_path_with_spaces(
    stopped_cli_stack: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The path also has other characters with a meaning for shells or in nginx's configuration."""
    path = tmp_path_factory.mktemp("a ; $1 {b} 'c' \"d\" #e ç") / "data"
    path.mkdir()
    assert not DataDirectory(path).run.is_relative_to(path), "nginx would interpret these characters"
    path.rmdir()
    check_moved(stopped_cli_stack, path)


def check_moved(stack: RunningStack, path: Path) -> None:
    """Check that a stack works on `path`: it starts, serves, describes itself, and stops."""
    if not (stack.data / "mysql").exists():
        stack.up(*SMALL)
        stack.down()
    path.parent.mkdir(exist_ok=True)
    stack.data.rename(path)
    moved = stack._replace(data=path)
    try:
        moved.up(*SMALL)
        assert remember_people(moved)()
        assert status_of(moved)["data"] == str(path)
        assert moved.sql("SELECT 1 AS one") == [["1"]]
        moved.down()
        check_no_process_left(path)
    finally:
        kill_processes_of(path)
        wait_until(lambda: not processes_of(path))
        path.rename(stack.data)
