"""A small file system, and files that fill it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

MEGABYTE = 1 << 20


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """Make a directory that is a file system with space for a new database and 500 MB."""
    directory.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=900m", "rinha", str(directory)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be made here: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(ballast: Path, remaining: int) -> None:
    """Fill the disk except `remaining` bytes, while other processes write too."""
    with ballast.open("wb") as file:
        while (size := shutil.disk_usage(ballast.parent).free - remaining) > 0:
            with suppress(OSError):  # there is less space now
                os.posix_fallocate(file.fileno(), 0, size)
                return
