"""Store a person."""

import argparse

from ops import client
from ops.commands import options
from service.person import NAME_LENGTH, NICKNAME_LENGTH, OFFICIAL, SKILL_LENGTH


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the person's fields, and the options that name the service."""
    parser.add_argument("nickname", help=f"at most {NICKNAME_LENGTH} characters; no other person may have it")
    parser.add_argument("name", help=f"at most {NAME_LENGTH} characters")
    parser.add_argument("birth_date", help="a date of the form YYYY-MM-DD")
    parser.add_argument("skills", nargs="*", metavar="skill", help=f"at most {SKILL_LENGTH} characters")
    options.add_service(parser)


def run(arguments: argparse.Namespace) -> int:
    """Store the person, and print the person as stored."""
    document = {
        OFFICIAL.nickname: arguments.nickname,
        OFFICIAL.name: arguments.name,
        OFFICIAL.birth_date: arguments.birth_date,
        OFFICIAL.skills: arguments.skills or None,
    }
    client.print_person(client.request(options.service_url(arguments), OFFICIAL.people, document), arguments.json)
    return 0
