"""Data of an older release are upgraded: no row is lost, and rows missing from the old index are found."""

import subprocess

import pytest

from ops import ROOT
from ops.stack.mysql import MySQLServer
from service.person import Person
from service.store import PeopleStore
from tests.support.commands import failed_checks
from tests.support.fulltext import lose_from_index
from tests.support.older_schema import OLDER_VERSIONS, downgrade_statements
from tests.support.people import new_person, store_people
from tests.support.polling import wait_until
from tests.support.stack import RunningStack

pytestmark = pytest.mark.faults  # these tests stop, kill and start MySQL

LONG_VERSIONS = [pytest.param(version, marks=pytest.mark.long) for version in OLDER_VERSIONS[:-1]]


def copy_people(stack: RunningStack, condition: str) -> None:
    """Copy some of the people to the new database, as an upgrade does before it is killed."""
    schema = (ROOT / "db/schema.sql").read_text()
    stack.sql(f"CREATE DATABASE rinha_nova CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci; USE rinha_nova; {schema}")
    stack.sql(
        "INSERT INTO rinha_nova.pessoas (id, apelido, nome, nascimento, stack) "
        f"SELECT id, apelido, nome, nascimento, stack FROM rinha.pessoas {condition}"
    )


def check_people(stack: RunningStack, people: list[Person]) -> None:
    """Check that exactly these people are stored and found, and that doctor finds nothing wrong."""
    store = PeopleStore(stack.config)
    assert store.count() == len(people)
    for person in people[::20]:
        assert store.get(person.id) == person
        assert store.search(person.nickname) == [person]
    assert failed_checks(stack, "--all") == []
    assert stack.sql("SHOW DATABASES LIKE 'rinha%'") == [["rinha"]]


@pytest.fixture
def people(operator_stack: RunningStack) -> list[Person]:
    """Store people in an empty table."""
    operator_stack.sql("DELETE FROM pessoas")
    return store_people(PeopleStore(operator_stack.config), 400)


def restart(stack: RunningStack) -> str:
    """Stop and start a stack; return the output of `up`."""
    stack.down()
    return stack.up(timeout=100)


@pytest.mark.parametrize("version", [*LONG_VERSIONS, OLDER_VERSIONS[-1]])
def test_data_of_an_older_release_are_upgraded(
    operator_stack: RunningStack, people: list[Person], version: int
) -> None:
    operator_stack.sql(downgrade_statements(version))

    output = restart(operator_stack)

    assert f"upgrading {len(people)} people from schema {version} to schema 6: takes about 1 min and " in output
    check_people(operator_stack, people)


def test_triggers_of_an_older_release_are_replaced_and_no_person_is_copied(
    operator_stack: RunningStack, people: list[Person]
) -> None:
    operator_stack.sql(
        "DROP TRIGGER antes_de_inserir; CREATE TRIGGER antes_de_inserir BEFORE INSERT ON pessoas FOR EACH ROW "
        "SET NEW.marca = (SELECT IF(letras + LENGTH(NEW.nome) > 0, 1, 0) FROM contagem FOR UPDATE)"
    )

    output = restart(operator_stack)

    assert "people from schema" not in output
    check_people(operator_stack, people)


@pytest.mark.long
@pytest.mark.usefixtures("people")
def test_a_row_missing_from_the_old_index_is_found_after_the_upgrade(operator_stack: RunningStack) -> None:
    operator_stack.sql(downgrade_statements(4))
    lost = new_person()
    lose_from_index(operator_stack, lost)
    ngrams = ngrams_of_nickname(operator_stack, lost)
    counted = f"SELECT COUNT(*) FROM pessoas WHERE MATCH (busca) AGAINST ('{ngrams}' IN BOOLEAN MODE)"
    assert operator_stack.sql(counted) == [["0"]], "the index has not lost the row"

    restart(operator_stack)

    assert operator_stack.sql(counted) == [["1"]]
    assert lost in PeopleStore(operator_stack.config).search(lost.nickname)
    assert failed_checks(operator_stack, "--all") == []


def ngrams_of_nickname(stack: RunningStack, person: Person) -> str:
    """Return the match expression that finds a person by the nickname."""
    ((codes,),) = stack.sql(f"SELECT LEFT(busca, 15) FROM pessoas WHERE apelido = '{person.nickname}'")
    return " ".join(f"+{codes[start : start + 3]}" for start in range(0, 15, 3))


@pytest.mark.long
def test_a_killed_upgrade_continues_where_it_stopped(operator_stack: RunningStack, people: list[Person]) -> None:
    """The copy has the oldest people. A person who was stored before its end is not stored twice."""
    operator_stack.sql(downgrade_statements(4))
    copy_people(operator_stack, "ORDER BY id LIMIT 150")

    restart(operator_stack)

    check_people(operator_stack, people)


@pytest.mark.long
def test_an_upgrade_killed_after_the_tables_were_swapped_is_completed(
    operator_stack: RunningStack, people: list[Person]
) -> None:
    """The new tables have no triggers yet, and the old tables still exist."""
    operator_stack.sql(
        "DROP TRIGGER antes_de_inserir; DROP TRIGGER depois_de_apagar; CREATE DATABASE rinha_nova; "
        "CREATE TABLE rinha_nova.antiga (id INT); REVOKE SELECT ON rinha.contagem FROM 'rinha'@'%'"
    )

    restart(operator_stack)

    check_people(operator_stack, people)


@pytest.mark.long
def test_people_stored_during_the_copy_are_not_lost(operator_stack: RunningStack, people: list[Person]) -> None:
    """An old instance stores a person whose id is smaller than the newest id of the copy."""
    operator_stack.sql(downgrade_statements(4))
    copy_people(operator_stack, f"WHERE id <> X'{people[0].id.hex()}'")

    output = restart(operator_stack)

    assert "people were stored while they were copied: starting over" in output
    check_people(operator_stack, people)


@pytest.mark.long
def test_data_of_a_newer_release_are_left_as_they_are(operator_stack: RunningStack, people: list[Person]) -> None:
    operator_stack.sql("ALTER TABLE pessoas COMMENT = 'schema 99'")
    operator_stack.down()

    refused = operator_stack.rinha("up", "--detach", timeout=100)

    assert refused.returncode == 1
    assert "the database has schema 99, which this release (schema 6) does not know" in refused.stdout + refused.stderr
    restore_comment(operator_stack)
    operator_stack.up(timeout=100)
    check_people(operator_stack, people)


def restore_comment(stack: RunningStack) -> None:
    """Run MySQL alone, because `up` does not start on such data, and restore the comment of the table."""
    database = MySQLServer(stack.directory)
    database.remove_stale_lock()
    server = subprocess.Popen(database.command())
    client = database.client_command()
    wait_until(lambda: subprocess.run([*client, "-e", "SELECT 1"], capture_output=True).returncode == 0)
    subprocess.run([*client, "rinha", "-e", "ALTER TABLE pessoas COMMENT = 'schema 5'"], check=True)
    server.terminate()
    server.wait()
