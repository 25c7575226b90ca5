"""Check a running stack: disk, versions, settings, limits, schema, count and full-text index."""

import argparse
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pymysql
from pymysql.cursors import Cursor

from ops import ROOT
from ops.commands import options
from ops.console import Progress, Share, ignore_progress, show_json, show_progress
from ops.errors import OperatorError
from ops.stack.availability import STATEMENT_TIMEOUT, wait_for_mysql
from ops.stack.capacity import OPERATOR_CONNECTIONS
from ops.stack.data_directory import DataDirectory, State, instance_names
from ops.stack.mysql import CONFIGURATION, OLDEST_VERSION, SCHEMA, MySQLServer, connect_as_root
from ops.system.processes import is_stopped, started_at
from service.search import ngrams_of
from service.store import COLUMNS, INSERT, PeopleStore

NEWEST = 50_000  # people that are looked up in the full-text index, without --all
NGRAMS = 2  # by which a person is looked up; InnoDB loses all n-grams of a row or none
MAX_LOOKUPS = 20  # of one person: a sync of InnoDB's full-text cache hides rows for milliseconds
LOOKUP_PAUSE = 0.05  # seconds
MYSQL_TIMEOUT = 30.0  # seconds for which a MySQL that restarts is waited for
PLACES = 100  # of the whole table, at which a person is looked up too
MAX_LOST = 20  # with more the index is rebuilt as a whole: it was made with other settings
GRANTS = 3  # in db/account.sql: SELECT and INSERT on pessoas, SELECT on contagem
REQUIREMENTS = ("requirements.txt", "requirements-ops.txt", "requirements-page.txt")  # that the script `rinha` installs
# The settings on which durability, search and memory depend.
SETTINGS = (
    "ngram_token_size", "innodb_ft_enable_stopword", "innodb_ft_cache_size", "innodb_ft_result_cache_limit",
    "innodb_flush_log_at_trx_commit", "innodb_doublewrite", "transaction_isolation", "character_set_server",
    "collation_server",
)  # fmt: skip


class Finding(NamedTuple):
    """The result of one check: its name, whether it is OK, what was found, and what to do if it is not OK."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


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
    yield _check_components(directory, state)
    yield _check_disk(directory)
    if silence:
        yield Finding("MySQL", False, silence, "./rinha status shows whether MySQL is back; then repeat this command")
        return
    try:
        with connect_as_root(directory.mysql_socket, database="rinha", read_timeout=STATEMENT_TIMEOUT) as connection:
            cursor = connection.cursor()
            yield _check_versions(cursor)
            yield _check_settings(cursor)
            yield _check_limits(cursor, directory, state)
            yield _check_schema(cursor, directory, progress)
            yield _check_count(cursor, heal)
            yield _check_index(cursor, PeopleStore(directory.config()), all_people, heal, progress)
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


def _query(cursor: Cursor, statement: str, values: Sequence[object] = ()) -> Sequence[tuple[Any, ...]]:
    cursor.execute(statement, values)
    return cursor.fetchall()


def _check_components(directory: DataDirectory, state: State) -> Finding:
    # The state lacks a component that waits to be started again.
    alive = [name for name, component in state.components.items() if started_at(component.pid) == component.started_at]
    dead = [name for name in ("mysql", "reserve", *instance_names(state.instances), "nginx") if name not in alive]
    detail = f"not running: {', '.join(dead)}" if dead else f"running: {', '.join(alive)}"
    if is_stopped(state.pid):
        remedy = f"fg in the shell of ./rinha up, or kill -CONT {state.pid}, continues it"
        return Finding("components", False, f"{detail}; ./rinha up is stopped and restarts nothing", remedy)
    return Finding("components", not dead, detail, f"./rinha up restarts what has died; see {directory.log}")


def _check_disk(directory: DataDirectory) -> Finding:
    free = shutil.disk_usage(directory.path).free
    used = sum(file.stat().st_size for file in (directory.path / "mysql/rinha").glob("*") if file.is_file())
    is_low = (directory.path / "index.suspect").exists()
    detail = f"{free >> 20:,} MB free, {used >> 20:,} MB of tables"
    if is_low:
        detail += "; the reserve is in use, so no person is stored"
    remedy = f"free space on the disk of {directory.path}: when tables are rebuilt, they need their size once more"
    return Finding("disk", free > used and not is_low, detail, remedy)


def _check_versions(cursor: Cursor) -> Finding:
    (version,) = _query(cursor, "SELECT VERSION()")[0]
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    installed = [ROOT / ".venv" / name for name in REQUIREMENTS]
    is_current = not (ROOT / ".venv").exists() or all(
        path.exists() and path.read_bytes() == (ROOT / path.name).read_bytes() for path in installed
    )
    detail = f"MySQL {version}; Python packages {'as in' if is_current else 'older than'} requirements.txt"
    oldest = ".".join(map(str, OLDEST_VERSION))
    remedy = f"MySQL must be {oldest} or later; ./rinha deploy installs the packages of requirements.txt"
    return Finding("versions", is_current and numbers >= OLDEST_VERSION, detail, remedy)


def _check_settings(cursor: Cursor) -> Finding:
    file = CONFIGURATION / "my.cnf"
    parser = ConfigParser(allow_no_value=True, inline_comment_prefixes=("#",), interpolation=None)
    parser.read_string(file.read_text())
    differences = []
    for name in SETTINGS:
        configured = parser["mysqld"].get(name, "")
        (current,) = _query(cursor, f"SELECT @@GLOBAL.{name}")[0]
        if _normalised(configured) != _normalised(str(current)):
            differences.append(f"{name} is {current} instead of {configured}")
    return Finding(
        "settings",
        not differences,
        "; ".join(differences) or f"{len(SETTINGS)} settings are as in db/my.cnf",
        f"./rinha down and ./rinha up apply {file}",
    )


def _normalised(value: str) -> str:
    """Return the value of an option as MySQL prints it: ON is 1."""
    return {"ON": "1", "OFF": "0"}.get(value.upper(), value)


def _check_limits(cursor: Cursor, directory: DataDirectory, state: State) -> Finding:
    workers = state.instances * state.workers
    connections, of_service = _query(cursor, "SELECT @@GLOBAL.max_connections, @@GLOBAL.max_user_connections")[0]
    limits = ""
    with suppress(OSError, KeyError):  # nginx does not run, which is another finding
        limits = Path(f"/proc/{state.components['nginx'].pid}/limits").read_text()
    files = re.search(r"Max open files +(\d+)", limits)
    clients = re.search(r"worker_connections (\d+)", (directory.run / "nginx/limits.conf").read_text())
    is_enough = of_service >= workers and connections >= workers + OPERATOR_CONNECTIONS
    return Finding(
        "limits",
        is_enough and bool(files and clients and int(files[1]) >= int(clients[1])),
        f"{connections} connections for {workers} workers; nginx may open {files[1] if files else 'no'} files "
        f"for {clients[1] if clients else 'no'} connections",
        "./rinha down and ./rinha up derive the limits from the number of workers again",
    )


def _check_schema(cursor: Cursor, directory: DataDirectory, progress: Progress) -> Finding:
    """Compare tables, triggers and privileges with those of db/, of which a second database is made for a moment."""
    cursor.execute("DROP DATABASE IF EXISTS rinha_doctor")
    cursor.execute("CREATE DATABASE rinha_doctor CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci")
    try:
        completed = MySQLServer(directory, progress).execute(SCHEMA.read_text(), "rinha_doctor")
        expected = _definitions(cursor, "rinha_doctor")
    finally:
        cursor.execute("DROP DATABASE rinha_doctor")
    if completed.returncode:
        return Finding("schema", False, f"db/schema.sql fails: {completed.stderr.strip()}", f"see {directory.log}")
    current = _definitions(cursor, "rinha")
    differing = [name for name, definition in expected.items() if current.get(name) != definition]
    privileges = "SELECT COUNT(*) FROM information_schema.table_privileges WHERE table_schema = 'rinha'"
    if _query(cursor, privileges) != ((GRANTS,),):
        differing.append("the privileges of the service's account")
    detail = f"not as in db/: {', '.join(differing)}" if differing else "tables, triggers and privileges are as in db/"
    remedy = (
        "./rinha sql < db/schema.sql makes the triggers again; give tables and privileges the form that db/ defines"
    )
    return Finding("schema", not differing, detail, remedy)


def _definitions(cursor: Cursor, database: str) -> dict[str, object]:
    """Return the definition of each table and trigger of a database, without the name of the database."""
    tables = [name for (name,) in _query(cursor, f"SHOW TABLES FROM {database}")]
    definitions: dict[str, object] = {}
    for table in tables:
        definition = _query(cursor, f"SHOW CREATE TABLE {database}.{table}")[0][1]
        definitions[table] = definition.replace(f"`{database}`.", "")
    triggers = _query(
        cursor,
        "SELECT trigger_name, action_timing, event_manipulation, event_object_table, action_statement "
        "FROM information_schema.triggers WHERE trigger_schema = %s",
        [database],
    )
    definitions.update((name, definition) for name, *definition in triggers)
    return definitions


def _check_count(cursor: Cursor, heal: bool) -> Finding:
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    (count,) = _query(cursor, "SELECT pessoas FROM contagem")[0]
    (rows,) = _query(cursor, "SELECT COUNT(*) FROM pessoas")[0]
    cursor.execute("COMMIT")
    if count != rows and heal:
        cursor.execute("BEGIN")
        cursor.execute("SELECT id FROM contagem FOR UPDATE")  # the gate: no INSERT commits meanwhile
        cursor.execute("UPDATE contagem SET pessoas = (SELECT COUNT(*) FROM pessoas)")
        cursor.execute("COMMIT")
        return Finding("count", True, f"was {count:,} for {rows:,} rows, and has been corrected")
    remedy = "./rinha doctor --heal corrects the count; creations wait meanwhile"
    return Finding("count", count == rows, f"{count:,} for {rows:,} rows", remedy)


def _check_index(cursor: Cursor, store: PeopleStore, all_people: bool, heal: bool, progress: Progress) -> Finding:
    scattered = store.lost_rows(PLACES)
    checked, lost = (0, []) if scattered > MAX_LOST else _find_lost(cursor, all_people, progress)
    if scattered > MAX_LOST or len(lost) > MAX_LOST:
        return _check_whole_index(cursor, store, heal, progress)
    detail = f"{checked:,} people looked up, {len(lost)} not found by full text"
    if scattered and not lost:
        return Finding("index", False, f"{detail}, but {scattered} older ones", "./rinha doctor --all --heal")
    if not lost:
        return Finding("index", True, detail)
    if not heal:
        return Finding("index", False, detail, "./rinha doctor --heal puts them into the index again")
    for identifier in lost:
        _store_again(cursor, identifier)
    still_lost = [identifier for identifier in lost if _is_lost(cursor, identifier)]
    detail += f", {len(still_lost)} after they were stored again"
    return Finding("index", not still_lost, detail, "this is a defect of rinha; report it")


def _check_whole_index(cursor: Cursor, store: PeopleStore, heal: bool, progress: Progress) -> Finding:
    detail = "full text does not find many people: the index was made with other settings"
    if not heal:
        return Finding("index", False, detail, "./rinha doctor --heal rebuilds the index; creations wait meanwhile")
    progress("rebuilding the full-text index")
    cursor.execute("ALTER TABLE pessoas FORCE")
    progress("")
    lost = store.lost_rows(PLACES)
    detail += f"; it has been rebuilt, and {lost} are not found"
    return Finding("index", not lost, detail, "this is a defect of rinha; report it")


def _find_lost(cursor: Cursor, all_people: bool, progress: Progress) -> tuple[int, list[bytes]]:
    """Look people up in the full-text index; return how many, and the ids of those that were not found.

    Ends early if more than `MAX_LOST` were not found.
    """
    lost: list[bytes] = []
    checked = 0
    (count,) = _query(cursor, "SELECT pessoas FROM contagem")[0]
    total = count if all_people else min(count, NEWEST)
    for people in islice(_newest_first(cursor), None if all_people else 1):
        frequency = Counter(ngram for _, search_key in people for ngram in set(ngrams_of(search_key)))
        for identifier, search_key in people:
            expression = _match_expression(search_key, frequency)
            if not _is_found(cursor, identifier, expression) and _is_lost(cursor, identifier):
                lost.append(identifier)
            checked += 1
            if len(lost) > MAX_LOST:
                return checked, lost
            if not checked % 500:
                progress(Share(f"looking people up in the full-text index: {checked:,} of {total:,}", checked, total))
    progress("")
    return checked, lost


def _newest_first(cursor: Cursor) -> Iterator[Sequence[tuple[bytes, str]]]:
    """Yield the ids and search keys of people, `NEWEST` at a time: enough to tell which n-grams are rare."""
    last = b"\xff" * 16
    select = f"SELECT id, busca FROM pessoas WHERE id < %s ORDER BY id DESC LIMIT {NEWEST}"
    while people := _query(cursor, select, [last]):
        yield [(identifier, search_key or "") for identifier, search_key in people]
        last = people[-1][0]


def _is_lost(cursor: Cursor, identifier: bytes) -> bool:
    """Return whether a person is stored and not found by any of `MAX_LOOKUPS` look-ups."""
    for _ in range(MAX_LOOKUPS):
        rows = _query(cursor, "SELECT busca FROM pessoas WHERE id = %s", [identifier])
        if not rows or _is_found(cursor, identifier, _match_expression(rows[0][0] or "", Counter())):
            return False
        time.sleep(LOOKUP_PAUSE)
    return True


def _is_found(cursor: Cursor, identifier: bytes, expression: str) -> bool:
    """Return whether the full-text index finds a person by a match expression."""
    statement = "SELECT 1 FROM pessoas WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND id = %s"
    return bool(_query(cursor, statement, [expression, identifier]))


def _match_expression(search_key: str, frequency: Counter[str]) -> str:
    """Return the expression that matches rows with the `NGRAMS` rarest n-grams of a search key."""
    rarest = sorted(set(ngrams_of(search_key)), key=lambda ngram: (frequency[ngram], ngram))
    return " ".join(f'+"{ngram}"' for ngram in rarest[:NGRAMS])


def _store_again(cursor: Cursor, identifier: bytes) -> None:
    """Replace a person's row by an equal one, in one transaction: readers see either row."""
    cursor.execute("BEGIN")
    cursor.execute("SELECT id FROM contagem FOR UPDATE")  # first the gate, as each INSERT does
    for _, *values in _query(cursor, f"SELECT {COLUMNS} FROM pessoas WHERE id = %s FOR UPDATE", [identifier]):
        cursor.execute("DELETE FROM pessoas WHERE id = %s", [identifier])
        cursor.execute(INSERT, (identifier.hex(), *values))
    cursor.execute("COMMIT")
