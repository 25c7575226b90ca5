"""Check a running stack: index, count, schema, settings, disk, limits, versions."""

import argparse
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pymysql
from pymysql.cursors import Cursor

from ops import ROOT
from ops.commands import options
from ops.console import show_progress
from ops.stack.data_directory import DataDirectory, State
from ops.stack.mysql import OLDEST_VERSION, SCHEMA, connect_as_root
from ops.system.processes import started_at

NEWEST = 50_000  # people whose place in the full-text index is looked at, unless all are
WORDS = 2  # trigrams that a person is asked for with: a person is lost with all of them
TRIES = 20  # for a person who is not found: InnoDB hides some for milliseconds while it syncs the index
PAUSE = 0.05  # seconds between two of them
SPARE_CONNECTIONS = 10  # for operators, beside one for each worker
GRANTS = 3  # SELECT and INSERT on pessoas, SELECT on contagem: db/account.sql
FILES = 8000  # that nginx may open: worker_connections in lb/nginx.conf
# What the promises rest on. The values are those of db/my.cnf.
SETTINGS = (
    "ngram_token_size", "innodb_ft_enable_stopword", "innodb_ft_cache_size", "innodb_ft_result_cache_limit",
    "innodb_flush_log_at_trx_commit", "innodb_doublewrite", "transaction_isolation", "character_set_server",
    "collation_server", "max_connections",
)  # fmt: skip
_MEANING = {"ON": "1", "OFF": "0"}
_COLUMNS = "id, apelido, nome, nascimento, stack"

Progress = Callable[[str], None]


class Finding(NamedTuple):
    """What was looked at, whether it is well, what was seen, and what to do if it is not."""

    name: str
    well: bool
    seen: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the stack, what is looked at, and the form of the output."""
    options.add_stack(parser)
    parser.add_argument("--all", action="store_true", help="ask for everybody (default: the newest 50,000 people)")
    parser.add_argument("--heal", action="store_true", help="put people into the index again, and count anew")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what is found; return 0 if all is well."""
    progress = (lambda line: None) if arguments.json else show_progress
    findings = []
    for finding in doctor(options.data_directory(arguments), arguments.all, arguments.heal, progress):
        findings.append(finding)
        if not arguments.json:
            print(f"{'well' if finding.well else 'NOT WELL':<10}{finding.name:<12}{finding.seen}")
            if not finding.well:
                print(f"{'':<22}{finding.remedy}")
    if arguments.json:
        print(json.dumps([finding._asdict() for finding in findings]))
    return 0 if all(finding.well for finding in findings) else 1


def doctor(directory: DataDirectory, everybody: bool, heal: bool, progress: Progress) -> Iterator[Finding]:
    """Yield what is found of the stack that runs on a data directory; mend what can be mended if `heal`.

    Of the full-text index the newest 50,000 people are looked at, or `everybody`. Raises OperatorError if no
    stack runs.
    """
    state = directory.running()
    yield _components(directory, state)
    yield _disk(directory)
    try:
        with connect_as_root(directory.mysql_socket) as connection:
            cursor = connection.cursor()
            yield _versions(cursor)
            yield _settings(cursor)
            yield _limits(cursor, state)
            yield _schema(cursor)
            yield _count(cursor, heal)
            yield _index(cursor, everybody, heal, progress)
    except pymysql.MySQLError as error:
        yield Finding("MySQL", False, f"a statement failed: {error.args[-1]}", f"see {directory.log}/mysql.log")


def _ask(cursor: Cursor, statement: str, values: Sequence[object] = ()) -> Sequence[tuple[Any, ...]]:
    cursor.execute(statement, values)
    return cursor.fetchall()


def _components(directory: DataDirectory, state: State) -> Finding:
    dead = [name for name, component in state.components.items() if started_at(component.pid) != component.started_at]
    seen = f"{', '.join(dead)} does not run" if dead else f"{', '.join(state.components)} run"
    return Finding("components", not dead, seen, f"`up` starts what dies: see {directory.log}")


def _disk(directory: DataDirectory) -> Finding:
    free = shutil.disk_usage(directory.path).free
    used = sum(file.stat().st_size for file in (directory.path / "mysql/rinha").glob("*") if file.is_file())
    low = (directory.path / "index.suspect").exists()
    seen = f"{free >> 20:,} MB free; the tables have {used >> 20:,} MB{', and the reserve is used' if low else ''}"
    return Finding("disk", free > used and not low, seen, "free some: the tables may need as much room again")


def _versions(cursor: Cursor) -> Finding:
    (version,) = _ask(cursor, "SELECT VERSION()")[0]
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    installed = (ROOT / ".venv/requirements.txt").read_bytes() if (ROOT / ".venv").exists() else None
    current = installed in (None, (ROOT / "requirements.txt").read_bytes())
    seen = f"MySQL {version}; Python packages {'as in' if current else 'older than'} requirements.txt"
    oldest = ".".join(map(str, OLDEST_VERSION))
    return Finding("versions", current and numbers >= OLDEST_VERSION, seen, f"MySQL {oldest} or later; ./rinha deploy")


def _settings(cursor: Cursor) -> Finding:
    text = (ROOT / "db/my.cnf").read_text()
    wrong = []
    for name in SETTINGS:
        setting = re.search(rf"^{name}\s*=\s*(\S+)", text, re.MULTILINE)
        wanted = setting[1] if setting else ""
        running = str(_ask(cursor, f"SELECT @@GLOBAL.{name}")[0][0])
        if _meaning(wanted) != _meaning(running):
            wrong.append(f"{name} is {running} instead of {wanted}")
    seen = "; ".join(wrong) or f"{len(SETTINGS)} that the promises rest on are as in db/my.cnf"
    return Finding(
        "settings", not wrong, seen, "./rinha down and ./rinha up; MySQL ignores a db/my.cnf that all may write"
    )


def _meaning(value: str) -> str:
    """Return a value of an option as MySQL shows it: ON as 1."""
    return _MEANING.get(value.upper(), value)


def _limits(cursor: Cursor, state: State) -> Finding:
    workers = state.instances * state.workers
    (connections,) = _ask(cursor, "SELECT @@GLOBAL.max_connections")[0]
    limits = ""
    with suppress(OSError, KeyError):  # nginx does not run, as another finding says
        limits = Path(f"/proc/{state.components['nginx'].pid}/limits").read_text()
    files = re.search(r"Max open files +(\d+)", limits)
    needed = workers + SPARE_CONNECTIONS
    seen = f"{connections} connections for {workers} workers; nginx may open {files[1] if files else 'no'} files"
    return Finding(
        "limits", connections >= needed and bool(files and int(files[1]) >= FILES), seen,
        f"fewer --workers, or max_connections = {needed} in db/my.cnf; ulimit -n {FILES}",
    )  # fmt: skip


def _schema(cursor: Cursor) -> Finding:
    """Compare what is there with what db/schema.sql makes in a database of its own, which is dropped again."""
    cursor.execute("DROP DATABASE IF EXISTS rinha_doctor")
    cursor.execute("CREATE DATABASE rinha_doctor CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci")
    cursor.execute("USE rinha_doctor")
    try:
        without_comments = re.sub(r"--.*", "", SCHEMA.read_text())
        for statement in filter(None, map(str.strip, re.split(r";\s*\n", without_comments))):
            cursor.execute(statement)
        there = _definitions(cursor, "rinha")
        differing = [name for name, made in _definitions(cursor, "rinha_doctor").items() if made != there.get(name)]
    finally:
        cursor.execute("USE rinha")
        cursor.execute("DROP DATABASE rinha_doctor")
    privileges = "SELECT COUNT(*) FROM information_schema.table_privileges WHERE table_schema = 'rinha'"
    if _ask(cursor, privileges) != ((GRANTS,),):
        differing.append("the privileges of the service's account")
    seen = f"{', '.join(differing)}: not as in db/" if differing else "tables, triggers and privileges are as in db/"
    return Finding("schema", not differing, seen, "give them the form that schema.sql and account.sql in db/ have")


def _definitions(cursor: Cursor, database: str) -> dict[str, object]:
    """Return what MySQL says of each table and trigger of a database, without the database's name and what changes."""
    tables = [name for (name,) in _ask(cursor, f"SHOW TABLES FROM {database}")]
    found: dict[str, object] = {}
    for table in tables:
        definition = _ask(cursor, f"SHOW CREATE TABLE {database}.{table}")[0][1]
        found[table] = definition.replace(f"`{database}`.", "")
    triggers = _ask(
        cursor,
        "SELECT trigger_name, action_timing, event_manipulation, event_object_table, action_statement "
        "FROM information_schema.triggers WHERE trigger_schema = %s",
        [database],
    )
    found.update((name, rest) for name, *rest in triggers)
    return found


def _count(cursor: Cursor, heal: bool) -> Finding:
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    (count,) = _ask(cursor, "SELECT pessoas FROM contagem")[0]
    (rows,) = _ask(cursor, "SELECT COUNT(*) FROM pessoas")[0]
    cursor.execute("COMMIT")
    if count != rows and heal:
        cursor.execute("BEGIN")
        cursor.execute("SELECT id FROM contagem FOR UPDATE")  # nobody is stored meanwhile
        cursor.execute("UPDATE contagem SET pessoas = (SELECT COUNT(*) FROM pessoas)")
        cursor.execute("COMMIT")
        return Finding("count", True, f"was {count:,} for {rows:,} rows, and is mended")
    seen = f"{count:,} for {rows:,} rows"
    return Finding("count", count == rows, seen, "./rinha doctor --heal counts anew; nobody is stored meanwhile")


def _index(cursor: Cursor, everybody: bool, heal: bool, progress: Progress) -> Finding:
    lost: list[bytes] = []
    asked = 0
    (total,) = _ask(cursor, "SELECT pessoas FROM contagem")[0]
    for people in islice(_newest_first(cursor), None if everybody else 1):
        frequency = Counter(trigram for _, text in people for trigram in set(_trigrams(text)))
        for identifier, text in people:
            if not _finds(cursor, identifier, _words(text, frequency)) and _is_lost(cursor, identifier):
                lost.append(identifier)
            asked += 1
            if not asked % 2000:
                progress(
                    f"asking the full-text index: {asked:,} of {total if everybody else min(total, NEWEST):,} people"
                )
    progress("")
    seen = f"{asked:,} people asked for, {len(lost)} not found by full text"
    if not lost:
        return Finding("index", True, seen)
    if heal:
        for identifier in lost:
            _index_anew(cursor, identifier)
        lost = [one for one in lost if _is_lost(cursor, one)]
        return Finding("index", not lost, f"{seen}, {len(lost)} after they were stored anew", "report this")
    return Finding("index", False, seen, "./rinha doctor --heal puts each of them into the index again")


def _newest_first(cursor: Cursor) -> Iterator[Sequence[tuple[bytes, str]]]:
    """Yield ids and search columns of people, 50,000 at a time: so many tell which of their trigrams are rare."""
    before = b"\xff" * 16
    select = f"SELECT id, busca FROM pessoas WHERE id < %s ORDER BY id DESC LIMIT {NEWEST}"
    while people := _ask(cursor, select, [before]):
        yield [(identifier, text or "") for identifier, text in people]
        before = people[-1][0]


def _is_lost(cursor: Cursor, identifier: bytes) -> bool:
    """Tell whether a person who is there is not found, however often one asks."""
    for _ in range(TRIES):
        there = _ask(cursor, "SELECT busca FROM pessoas WHERE id = %s", [identifier])
        if not there or _finds(cursor, identifier, _words(there[0][0] or "", Counter())):
            return False
        time.sleep(PAUSE)
    return True


def _finds(cursor: Cursor, identifier: bytes, words: str) -> bool:
    """Tell whether the full-text index finds a person by words."""
    statement = "SELECT 1 FROM pessoas WHERE MATCH (busca) AGAINST (%s IN BOOLEAN MODE) AND id = %s"
    return bool(_ask(cursor, statement, [words, identifier]))


def _words(text: str, frequency: Counter[str]) -> str:
    """Return the words of full text for a few trigrams of a search column, the rarest first."""
    rarest = islice(sorted(set(_trigrams(text)), key=lambda trigram: (frequency[trigram], trigram)), WORDS)
    return " ".join(f'+"{trigram}"' for trigram in rarest)


def _trigrams(text: str) -> list[str]:
    return [text[start : start + 3] for start in range(len(text) - 2)]


def _index_anew(cursor: Cursor, identifier: bytes) -> None:
    """Store a person once more in the place of the same one: readers see either."""
    cursor.execute("BEGIN")
    cursor.execute("SELECT id FROM contagem FOR UPDATE")  # first, as whoever inserts does
    rows = _ask(cursor, f"SELECT {_COLUMNS} FROM pessoas WHERE id = %s FOR UPDATE", [identifier])
    if rows:
        cursor.execute("DELETE FROM pessoas WHERE id = %s", [identifier])
        cursor.execute(f"INSERT INTO pessoas ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s)", rows[0])
    cursor.execute("COMMIT")
