"""Show at most 50 people whose nickname, name or a skill contains a term."""

import argparse
import json

from ops import client
from ops.commands import options
from service.search import LIMIT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the term, and the options that name the service."""
    parser.add_argument("term", help="the fragment to look for; case and accents do not count")
    options.add_service(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the people found."""
    people = client.request(arguments.url, client.search_path(arguments.term))
    if arguments.json:
        print(json.dumps(people, ensure_ascii=False))
        return 0
    for person in people:
        print(client.line(person))
    print(f"{len(people)} found" + (", and there may be more" if len(people) == LIMIT else ""))
    return 0
