"""The commands of ./rinha."""

import argparse
import sys

from ops.commands import (
    bench,
    completion,
    count,
    create,
    deploy,
    doctor,
    down,
    explain,
    get,
    logs,
    search,
    seed,
    sql,
    status,
    test,
    top,
    up,
)
from ops.errors import OperatorError

COMMANDS = (
    up,
    down,
    deploy,
    status,
    top,
    logs,
    sql,
    seed,
    explain,
    doctor,
    test,
    bench,
    create,
    get,
    search,
    count,
    completion,
)


def main() -> int:
    """Run the command of the arguments; return its exit status: 1 with the reason on standard error."""
    try:
        if sys.argv[1:2] == ["test"] and sys.argv[2:3] not in (["-h"], ["--help"]):
            # Past argparse, which would take pytest's options for its own.
            return test.run(argparse.Namespace(arguments=sys.argv[2:]))
        arguments = parser().parse_args()
        status: int = arguments.run(arguments)
        return status
    except (OperatorError, OSError) as error:
        print(f"rinha: {_reason(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each one's first line of documentation is its help."""
    top = argparse.ArgumentParser(prog="./rinha", description="People by any fragment: run it, look into it, test it.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for module in COMMANDS:
        about = (module.__doc__ or "").splitlines()[0]
        command = commands.add_parser(
            module.__name__.rpartition(".")[2], help=about[0].lower() + about[1:].rstrip("."), description=about
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run, parser=top)
    return top


def _reason(error: OperatorError | OSError) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'it'}: {error.strerror or error}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
