"""Data of an older release are brought up to date: nobody is lost, and whom the old index had lost is found."""

import subprocess
from pathlib import Path

import pytest

from ops import ROOT
from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import MySQLServer
from service.person import Person
from service.store import PeopleStore
from tests.support.operating import commit_after_a_sync_and_kill, fill, until, what_is_wrong
from tests.support.people import somebody
from tests.support.stack import RunningStack

pytestmark = pytest.mark.faults  # it stops, kills and starts MySQL

TEXT = (
    "busca TEXT COLLATE utf8mb4_0900_ai_ci GENERATED ALWAYS AS (CONCAT_WS('\\n', apelido, nome, stack)) STORED NOT NULL"
)
WEIGHTS = (
    "pesos MEDIUMBLOB GENERATED ALWAYS AS (WEIGHT_STRING(CONCAT_WS('\\n', apelido, nome, stack, '=') "
    "COLLATE utf8mb4_0900_ai_ci)) VIRTUAL INVISIBLE, "
    "ADD COLUMN busca MEDIUMTEXT COLLATE utf8mb4_0900_bin GENERATED ALWAYS AS (CONVERT(pesos & REPEAT(X'006F', "
    "LENGTH(pesos) / 2) | REPEAT(X'0400', LENGTH(pesos) / 2) USING ucs2)) STORED NOT NULL"
)
WITHOUT_GATE = {1: TEXT, 2: TEXT, 3: TEXT, 4: WEIGHTS}
WITH_GATE = {5: Path(__file__).with_name("schema-5.sql")}


def older(version: int) -> str:
    """Return the statements that give the tables, and the account, the form that an older release left."""
    if version in WITH_GATE:
        return (
            "CREATE TABLE copied SELECT id, apelido, nome, nascimento, stack FROM pessoas; "
            f"DROP TABLE contagem, pessoas; {WITH_GATE[version].read_text()}"
            "INSERT INTO pessoas (id, apelido, nome, nascimento, stack) SELECT * FROM copied ORDER BY id; "
            "DROP TABLE copied"
        )
    return (
        "DROP TRIGGER antes_de_inserir; DROP TRIGGER depois_de_inserir; DROP TRIGGER antes_de_mudar; "
        "DROP TRIGGER depois_de_mudar; DROP TRIGGER depois_de_apagar; DROP TABLE contagem; "
        "REVOKE SELECT ON rinha.contagem FROM 'rinha'@'%'; "
        "ALTER TABLE pessoas DROP KEY busca, DROP COLUMN busca, DROP COLUMN pesos, DROP CONSTRAINT portao, "
        f"DROP COLUMN marca, ADD COLUMN {WITHOUT_GATE[version]}, ADD FULLTEXT KEY busca (busca) WITH PARSER ngram, "
        f"COMMENT = 'schema {version}'"
    )


def copy(stack: RunningStack, some: str) -> None:
    """Copy some of the people, as an upgrade does before it is killed."""
    schema = (ROOT / "db/schema.sql").read_text()
    stack.sql(f"CREATE DATABASE rinha_nova CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci; USE rinha_nova; {schema}")
    stack.sql(
        "INSERT INTO rinha_nova.pessoas (id, apelido, nome, nascimento, stack) "
        f"SELECT id, apelido, nome, nascimento, stack FROM rinha.pessoas {some}"
    )


def check(stack: RunningStack, people: list[Person]) -> None:
    """Check that exactly these people are there and found, and that doctor sees nothing wrong."""
    store = PeopleStore(stack.config)
    assert store.count() == len(people)
    for person in people[::20]:
        assert store.get(person.id) == person
        assert store.search(person.nickname) == [person]
    assert what_is_wrong(stack, "--all") == []
    assert stack.sql("SHOW DATABASES LIKE 'rinha%'") == [["rinha"]]


@pytest.fixture
def people(operated: RunningStack) -> list[Person]:
    operated.sql("DELETE FROM pessoas")
    return fill(PeopleStore(operated.config), 400)


def restart(stack: RunningStack) -> str:
    assert stack.rinha("down").returncode == 0
    return start(stack)


def start(stack: RunningStack) -> str:
    """Return what `up` says."""
    started = stack.rinha("up", "--detach", timeout=100)
    assert started.returncode == 0, started.stdout + started.stderr
    return started.stdout


@pytest.mark.parametrize("version", [*WITHOUT_GATE, *WITH_GATE])
def test_data_of_an_older_release_is_brought_up_to_date(
    operated: RunningStack, people: list[Person], version: int
) -> None:
    operated.sql(older(version))

    said = restart(operated)

    assert f"upgrading {len(people)} people from schema {version} to schema 6: takes about 1 min and " in said
    check(operated, people)


def test_whom_the_old_index_had_lost_is_found_again(operated: RunningStack, people: list[Person]) -> None:
    operated.sql(older(4))
    lost = somebody()
    commit_after_a_sync_and_kill(operated, lost)
    found = f"SELECT COUNT(*) FROM pessoas WHERE MATCH (busca) AGAINST ('{words(operated, lost)}' IN BOOLEAN MODE)"
    assert operated.sql(found) == [["0"]], "the index has not lost anybody"

    restart(operated)

    assert operated.sql(found) == [["1"]]
    assert lost in PeopleStore(operated.config).search(lost.nickname)
    assert what_is_wrong(operated, "--all") == []


def words(stack: RunningStack, person: Person) -> str:
    """Return the words of full text that find a person by the nickname."""
    ((letters,),) = stack.sql(f"SELECT LEFT(busca, 15) FROM pessoas WHERE apelido = '{person.nickname}'")
    return " ".join(f"+{letters[start : start + 3]}" for start in range(0, 15, 3))


def test_an_upgrade_that_was_killed_goes_on_where_it_was(operated: RunningStack, people: list[Person]) -> None:
    """Its copy has the oldest people; and a person who was stored before it ended is not there twice."""
    operated.sql(older(4))
    copy(operated, "ORDER BY id LIMIT 150")

    restart(operated)

    check(operated, people)


def test_an_upgrade_that_was_killed_after_the_tables_changed_places_is_ended(
    operated: RunningStack, people: list[Person]
) -> None:
    """The new tables have no triggers yet, and the old ones are in the way."""
    operated.sql(
        "DROP TRIGGER antes_de_inserir; DROP TRIGGER depois_de_apagar; CREATE DATABASE rinha_nova; "
        "CREATE TABLE rinha_nova.antiga (id INT); REVOKE SELECT ON rinha.contagem FROM 'rinha'@'%'"
    )

    restart(operated)

    check(operated, people)


def test_people_who_were_stored_while_they_were_copied_are_not_lost(
    operated: RunningStack, people: list[Person]
) -> None:
    """By an old instance, after a restart of MySQL has ended its refusal: with an id that the copy is past."""
    operated.sql(older(4))
    copy(operated, f"WHERE id <> X'{people[0].id.hex()}'")

    said = restart(operated)

    assert "people were stored while they were copied: starting over" in said
    check(operated, people)


def test_data_of_a_newer_release_are_left_as_they_are(operated: RunningStack, people: list[Person]) -> None:
    operated.sql("ALTER TABLE pessoas COMMENT = 'schema 99'")
    assert operated.rinha("down").returncode == 0

    refused = operated.rinha("up", "--detach", timeout=100)

    assert refused.returncode == 1
    assert "the database has schema 99, which this release (schema 6) does not know" in refused.stdout + refused.stderr
    set_comment_back(operated)
    check(operated, people)


def set_comment_back(stack: RunningStack) -> None:
    """Start MySQL alone, as nothing else starts on such data."""
    database = MySQLServer(DataDirectory(stack.data))
    database.remove_stale_lock()
    server = subprocess.Popen(database.command())
    until(lambda: subprocess.run([*database.client_command(), "-e", "SELECT 1"], capture_output=True).returncode == 0)
    subprocess.run([*database.client_command(), "rinha", "-e", "ALTER TABLE pessoas COMMENT = 'schema 5'"], check=True)
    server.terminate()
    server.wait()
    start(stack)
