"""The commands of ./rinha."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from ops import console, defects
from ops.errors import OperatorError


class _Parser(argparse.ArgumentParser):
    """A parser without abbreviations, which would change their meaning with the next option."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Exit 2 with the usage and the error."""
        if any(word.startswith("-") and not word.startswith("--") for word in sys.argv[2:]):
            message += "; put -- before a value that begins with a dash"
        super().error(message)


def main() -> int:
    """Run the command of the arguments; return its exit status: 1 with the reason on standard error."""
    try:
        try:
            return _run([_text(word) for word in sys.argv[1:]])
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if isinstance(error, OSError) and error.filename == console.STANDARD_OUTPUT:
            console.discard_output()
            if isinstance(error, BrokenPipeError):
                _end_by_broken_pipe()
        with contextlib.suppress(OSError):
            print(f"rinha: {_reason(error)}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each one's first line of documentation is its help."""
    top = _Parser(prog="./rinha", description="People by any fragment: run it, look into it, test it.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for module in command_modules():
        about = (module.__doc__ or "").splitlines()[0]
        command = commands.add_parser(
            module.__name__.rpartition(".")[2], help=about[0].lower() + about[1:].rstrip("."), description=about
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run, parser=top)
    return top


def _text(word: str) -> str:
    """Return an argument as text; raise OperatorError if its bytes are no text."""
    try:
        word.encode()
    except UnicodeEncodeError:  # Python has decoded bytes that its locale does not know as lone surrogates
        data = os.fsencode(word)
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise OperatorError(f"the argument {data.decode(errors='backslashreplace')} is not UTF-8") from None
    return word


def _run(words: Sequence[str]) -> int:
    if words[:1] == ["test"] and words[1:2] not in (["-h"], ["--help"]):
        from ops.commands import test  # noqa: PLC0415 - as in command_modules

        # Past argparse, which would take pytest's options for its own.
        return test.run(argparse.Namespace(arguments=words[1:]))
    arguments = parser().parse_args(words)
    status: int = arguments.run(arguments)
    return status


def command_modules() -> Sequence[ModuleType]:
    """Return the modules of all commands, in the order of the help."""
    # Imported here, so that `main` reports a package that cannot be imported.
    from ops.commands import (  # noqa: PLC0415
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

    running = (up, down, deploy, status, top, logs, sql, seed, explain, doctor)
    return *running, test, bench, create, get, search, count, completion


def _reason(error: Exception) -> str:
    if isinstance(error, OperatorError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the operating system'}: {error.strerror}"
    return defects.report(error)


def _end_by_broken_pipe() -> None:
    """End this process as one that does not handle SIGPIPE: quietly, with the signal as its exit status."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)


if __name__ == "__main__":
    console.prepare_streams()
    defects.report_threads()
    sys.exit(main())
