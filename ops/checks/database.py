"""Checks what db/ defines, and the count."""

from pymysql.cursors import Cursor

from ops.checks.finding import Finding, query
from ops.console import Progress
from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import SCHEMA, MySQLServer

GRANTS = 3  # in db/account.sql: SELECT and INSERT on pessoas, SELECT on contagem


def check_schema(cursor: Cursor, directory: DataDirectory, progress: Progress) -> Finding:
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
    if query(cursor, privileges) != ((GRANTS,),):
        differing.append("the privileges of the service's account")
    detail = f"not as in db/: {', '.join(differing)}" if differing else "tables, triggers and privileges are as in db/"
    remedy = (
        "./rinha sql < db/schema.sql makes the triggers again; give tables and privileges the form that db/ defines"
    )
    return Finding("schema", not differing, detail, remedy)


def _definitions(cursor: Cursor, database: str) -> dict[str, object]:
    """Return the definition of each table and trigger of a database, without the name of the database."""
    tables = [name for (name,) in query(cursor, f"SHOW TABLES FROM {database}")]
    definitions: dict[str, object] = {}
    for table in tables:
        definition = query(cursor, f"SHOW CREATE TABLE {database}.{table}")[0][1]
        definitions[table] = definition.replace(f"`{database}`.", "")
    triggers = query(
        cursor,
        "SELECT trigger_name, action_timing, event_manipulation, event_object_table, action_statement "
        "FROM information_schema.triggers WHERE trigger_schema = %s",
        [database],
    )
    definitions.update((name, definition) for name, *definition in triggers)
    return definitions


def check_count(cursor: Cursor, heal: bool) -> Finding:
    """Compare the count with the rows of one snapshot; with `heal`, correct it."""
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    (count,) = query(cursor, "SELECT pessoas FROM contagem")[0]
    (rows,) = query(cursor, "SELECT COUNT(*) FROM pessoas")[0]
    cursor.execute("COMMIT")
    if count != rows and heal:
        cursor.execute("BEGIN")
        cursor.execute("SELECT id FROM contagem FOR UPDATE")  # the gate: no INSERT commits meanwhile
        cursor.execute("UPDATE contagem SET pessoas = (SELECT COUNT(*) FROM pessoas)")
        cursor.execute("COMMIT")
        return Finding("count", True, f"was {count:,} for {rows:,} rows, and has been corrected")
    remedy = "./rinha doctor --heal corrects the count; creations wait meanwhile"
    return Finding("count", count == rows, f"{count:,} for {rows:,} rows", remedy)
