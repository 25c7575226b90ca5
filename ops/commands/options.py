"""Options that several commands have."""

import argparse
from pathlib import Path

from ops.stack.data_directory import DataDirectory

PORT = 9999


def add_stack(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a stack of this machine."""
    parser.add_argument("--port", type=port, default=PORT, help="the port of the stack (default: %(default)s)")
    parser.add_argument("--data", type=path, metavar="DIR", help="the data directory (default: .rinha/PORT)")


def data_directory(arguments: argparse.Namespace) -> DataDirectory:
    """Return the data directory that the options name."""
    return DataDirectory.chosen(arguments.data, arguments.port)


def add_service(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that is an HTTP client of the service."""
    address = parser.add_mutually_exclusive_group()
    address.add_argument(
        "--port", type=port, default=PORT, help="the port of the service on this machine (default: %(default)s)"
    )
    address.add_argument("--url", help="the address of the service (default: http://localhost:PORT)")
    parser.add_argument("--json", action="store_true", help="print the JSON of the service")


def service_url(arguments: argparse.Namespace) -> str:
    """Return the address of the service that the options name."""
    return arguments.url or f"http://localhost:{arguments.port}"


def port(text: str) -> int:
    """Return the port number in `text`; raise ValueError or ArgumentTypeError, as argparse expects."""
    return _between(text, 65535)


def path(text: str) -> Path:
    """Return the path in `text`; raise ArgumentTypeError if it is empty, as an unset variable of a shell is."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text)


def count(text: str) -> int:
    """Return the number from 1 to 64 in `text`; raise ValueError or ArgumentTypeError, as argparse expects."""
    return _between(text, 64)


def megabytes(text: str) -> int:
    """Return the number of megabytes in `text`; raise ValueError or ArgumentTypeError, as argparse expects."""
    return _between(text, 1 << 20)


def members(text: str) -> int:
    """Return the number of members in `text`, at most 9; raise ValueError or ArgumentTypeError."""
    return _between(text, 9)


def _between(text: str, most: int) -> int:
    number = int(text)
    if not 1 <= number <= most:
        raise argparse.ArgumentTypeError(f"must be from 1 to {most}")
    return number
