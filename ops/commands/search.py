"""Show at most 50 people with a term in nickname, name or a skill."""

import argparse
import json

from ops import client
from ops.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the term, and the service."""
    parser.add_argument("term")
    options.add_service(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the people found."""
    people = client.request(arguments.url, client.search_path(arguments.term))
    if arguments.json:
        print(json.dumps(people, ensure_ascii=False))
        return 0
    for person in people:
        print(client.line(person))
    print(f"{len(people)} found" + (", and there may be more" if len(people) == 50 else ""))
    return 0
