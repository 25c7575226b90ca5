"""Show the person with an id."""

import argparse

from ops import client
from ops.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the id, and the options that name the service."""
    parser.add_argument("id", help="the person's id, a UUID")
    options.add_service(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the person."""
    client.print_person(
        client.request(options.service_url(arguments), client.person_path(arguments.id)), arguments.json
    )
    return 0
