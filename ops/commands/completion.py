"""Print the script that completes commands and options in a shell."""

import argparse

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name of the shell."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}")


def run(arguments: argparse.Namespace) -> int:
    """Print the script, which completes `rinha` in any directory."""
    import shtab  # noqa: PLC0415 - no other command needs it

    commands: argparse.ArgumentParser = arguments.parser
    commands.prog = "rinha"  # shells look up a command without its directory
    print(shtab.complete(commands, arguments.shell))
    return 0
