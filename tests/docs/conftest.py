"""The commands of the documents run only if the command line names them, as `tox -e docs` does."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this directory out of a run that does not name it."""
    return None if any("tests/docs" in argument for argument in config.invocation_params.args) else True
