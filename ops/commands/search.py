"""Show at most 50 people whose nickname, name or a skill contains a term."""

import argparse

from ops import client, terminal
from ops.client import GAP
from ops.commands import options
from ops.console import show_json
from ops.highlight import split_at
from ops.terminal import Paint, aligned
from service.search import LIMIT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the term, and the options that name the service."""
    parser.add_argument("term", help="the fragment to look for; case and accents do not count")
    options.add_service(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the people found."""
    people = client.request(options.service_url(arguments), client.search_path(arguments.term))
    if arguments.json:
        show_json(people)
        return 0
    paint = terminal.painter()
    for row in aligned([client.fields(person) for person in people]):
        print(GAP.join(_highlighted(text, arguments.term, paint) for text in row))
    print(f"{len(people)} found" + (", and there may be more" if len(people) == LIMIT else ""))
    return 0


def _highlighted(text: str, term: str, paint: Paint) -> str:
    return "".join(paint(piece, "bold yellow" if is_match else "") for piece, is_match in split_at(text, term))
