"""Check a running stack: disk, versions, settings, limits, schema, count and full-text index."""

import argparse
from collections.abc import Iterator

import pymysql

from ops.checks.database import check_count, check_schema
from ops.checks.finding import Finding
from ops.checks.index import NEWEST, check_index
from ops.checks.stack import check_components, check_disk, check_limits, check_settings, check_versions
from ops.commands import options
from ops.console import Progress, ignore_progress, show_json, show_progress
from ops.errors import OperatorError
from ops.stack.availability import STATEMENT_TIMEOUT, wait_for_mysql
from ops.stack.data_directory import DataDirectory
from ops.stack.members import primary_directory
from ops.stack.mysql import connect_as_root
from service.store import PeopleStore

MYSQL_TIMEOUT = 30.0  # seconds for which a MySQL that restarts is waited for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the stack, the extent of the checks, and the form of the output."""
    options.add_stack(parser)
    add = parser.add_argument
    add("--all", action="store_true", help=f"look up all people in the index (default: the newest {NEWEST:,})")
    add("--heal", action="store_true", help="put people that the index has lost into it again, and correct the count")
    add("--json", action="store_true", help="print one JSON array")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; return 0 if all are OK."""
    progress = ignore_progress if arguments.json else show_progress
    findings = []
    for finding in doctor(options.data_directory(arguments), arguments.all, arguments.heal, progress):
        findings.append(finding)
        if not arguments.json:
            print(f"{'ok' if finding.ok else 'FAILED':<8}{finding.name:<12}{finding.detail}")
            if not finding.ok:
                print(f"{'':<20}{finding.remedy}")
    if arguments.json:
        show_json([finding._asdict() for finding in findings])
    return 0 if all(finding.ok for finding in findings) else 1


def doctor(directory: DataDirectory, all_people: bool, heal: bool, progress: Progress) -> Iterator[Finding]:
    """Yield the findings about the stack on a data directory; raise OperatorError if no stack runs on it.

    The newest `NEWEST` people are looked up in the full-text index, or all people. With `heal`, people that the index
    has lost are stored again, and a wrong count is corrected.
    """
    directory.running()
    silence = _silence_of_mysql(directory, progress)
    state = directory.running()
    yield check_components(directory, state)
    yield check_disk(directory)
    if silence:
        yield Finding("MySQL", False, silence, "./rinha status shows whether MySQL is back; then repeat this command")
        return
    try:
        primary = primary_directory(directory)
        with connect_as_root(primary.mysql_socket, database="rinha", read_timeout=STATEMENT_TIMEOUT) as connection:
            cursor = connection.cursor()
            yield check_versions(cursor)
            yield check_settings(cursor)
            yield check_limits(cursor, directory, state)
            yield check_schema(cursor, primary, progress)
            yield check_count(cursor, heal)
            yield check_index(cursor, PeopleStore(directory.config()), all_people, heal, progress)
    except pymysql.MySQLError as error:
        remedy = f"repeat this command if MySQL has restarted; see {directory.log}/mysql.log"
        yield Finding("MySQL", False, f"a statement failed: {error.args[-1]}", remedy)


def _silence_of_mysql(directory: DataDirectory, progress: Progress) -> str:
    """Wait for a MySQL that restarts; return "", or why it does not answer."""
    try:
        wait_for_mysql(directory, progress, MYSQL_TIMEOUT)
    except OperatorError as error:
        return str(error)
    progress("")
    return ""
