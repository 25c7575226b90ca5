"""Store a person."""

import argparse

from ops import client
from ops.commands import options
from service.person import OFFICIAL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the person's fields, and the service."""
    parser.add_argument("nickname", help="at most 32 characters, nobody else's")
    parser.add_argument("name", help="at most 100 characters")
    parser.add_argument("birth_date", help="YYYY-MM-DD")
    parser.add_argument("skills", nargs="*", metavar="skill", help="at most 32 characters each")
    options.add_service(parser)


def run(arguments: argparse.Namespace) -> int:
    """Store the person and print them as they were stored."""
    document = {
        OFFICIAL.nickname: arguments.nickname,
        OFFICIAL.name: arguments.name,
        OFFICIAL.birth_date: arguments.birth_date,
        OFFICIAL.skills: arguments.skills or None,
    }
    client.show(client.request(arguments.url, OFFICIAL.people, document), arguments.json)
    return 0
