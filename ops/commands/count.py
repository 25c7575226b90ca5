"""Show the number of people."""

import argparse

from ops import client
from ops.commands import options
from service.person import OFFICIAL

add_arguments = options.add_service


def run(arguments: argparse.Namespace) -> int:
    """Print the number."""
    print(client.request(options.service_url(arguments), OFFICIAL.people_count))
    return 0
