"""The service's account has the necessary privileges only, its password is in one file, and only nginx listens."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pymysql
import pytest
from pymysql.cursors import Cursor

from ops import ROOT
from ops.system.processes import members
from tests.support.people import new_person
from tests.support.processes import make_program
from tests.support.stack import RunningStack

# MySQL's errors for a missing privilege on a table, a database or the server, and for a forbidden option.
# SELECT and INSERT permit ANALYZE and OPTIMIZE TABLE too, which change no row.
DENIED = {1044, 1045, 1142, 1143, 1227, 1290, 1370, 1410, 3948}


@pytest.fixture
def service(stack: RunningStack) -> Iterator[Cursor]:
    """Yield a cursor of the service's account."""
    config = stack.config
    connection = pymysql.connect(
        unix_socket=config.db_socket,
        user=config.db_user,
        password=config.db_password,
        database=config.db_name,
        ssl_disabled=True,
        local_infile=True,
    )
    yield connection.cursor()
    connection.close()


ENDED = (FileNotFoundError, ProcessLookupError)  # the disk reserve starts a short program each second


def processes(stack: RunningStack) -> dict[int, str]:
    """Return the processes of the stack with the names of their components."""
    components = stack.state.components.items()
    return {stack.state.pid: "up"} | {pid: name for name, component in components for pid in members(component.pid)}


def test_the_account_of_the_service_may_read_and_add_people_and_read_their_count(service: Cursor) -> None:
    service.execute("SHOW GRANTS")

    assert [grant for (grant,) in service.fetchall()] == [
        "GRANT USAGE ON *.* TO `rinha`@`%`",
        "GRANT SELECT ON `rinha`.`contagem` TO `rinha`@`%`",
        "GRANT SELECT, INSERT ON `rinha`.`pessoas` TO `rinha`@`%`",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pessoas SET nome = 'x'", "DELETE FROM pessoas", "TRUNCATE pessoas", "DROP TABLE pessoas",
        "ALTER TABLE pessoas ADD x INT", "RENAME TABLE pessoas TO x", "CREATE INDEX x ON pessoas (nome)",
        "REPLACE INTO pessoas (id, apelido, nome, nascimento) VALUES (X'00', 'x', 'x', '2000-01-01')",
        "INSERT INTO pessoas (id, apelido, nome, nascimento) VALUES (X'00', 'x', 'x', '2000-01-01') "
        "ON DUPLICATE KEY UPDATE nome = 'x'",
        "LOCK TABLES pessoas WRITE", "SELECT * FROM pessoas FOR UPDATE",
        "UPDATE contagem SET pessoas = 0", "INSERT INTO contagem (pessoas) VALUES (0)", "DELETE FROM contagem",
        "SELECT * FROM contagem FOR UPDATE", "DROP TRIGGER antes_de_inserir",
        "CREATE TABLE x (y INT)", "CREATE TEMPORARY TABLE x (y INT)", "CREATE VIEW x AS SELECT 1", "CREATE DATABASE x",
        "DROP DATABASE rinha", "CREATE PROCEDURE x() SELECT 1", "CREATE FUNCTION x RETURNS INT SONAME 'x.so'",
        "CREATE TRIGGER x BEFORE INSERT ON pessoas FOR EACH ROW SET NEW.nome = 'x'",
        "CREATE EVENT x ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        "SELECT * FROM mysql.user", "SELECT * FROM mysql.db", "SELECT * FROM sys.version", "USE mysql", "USE sys",
        "SELECT * FROM pessoas INTO OUTFILE '/tmp/x'", "LOAD DATA INFILE '/etc/passwd' INTO TABLE pessoas",
        "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE pessoas",
        "CREATE USER x", "DROP USER rinha", "GRANT SELECT ON rinha.pessoas TO root@localhost",
        "SET PASSWORD FOR root@localhost = 'x'", "SET GLOBAL general_log = ON", "SET PERSIST max_connections = 1",
        "SET GLOBAL innodb_flush_log_at_trx_commit = 2", "SET SESSION sql_log_bin = OFF",
        "INSTALL PLUGIN x SONAME 'x.so'",
        "INSTALL COMPONENT 'file://x'", "FLUSH TABLES", "SHUTDOWN", "RESTART", "SHOW BINARY LOGS",
        "SHOW ENGINE INNODB STATUS",
    ],
)  # fmt: skip
def test_any_other_statement_of_the_account_of_the_service_is_denied(service: Cursor, statement: str) -> None:
    with pytest.raises(pymysql.MySQLError) as denied:
        service.execute(statement)

    assert denied.value.args[0] in DENIED, denied.value


def test_the_account_of_the_service_reads_no_file_and_sees_no_other_schema_or_connection(
    service: Cursor, stack: RunningStack
) -> None:
    service.execute("SELECT LOAD_FILE('/etc/passwd')")
    assert service.fetchall() == ((None,),)
    service.execute("SHOW DATABASES")
    assert {name for (name,) in service.fetchall()} <= {"information_schema", "performance_schema", "rinha"}
    service.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'rinha'")
    assert sorted(service.fetchall()) == [("contagem",), ("pessoas",)]
    service.execute("SHOW PROCESSLIST")
    assert {row[1] for row in service.fetchall()} == {"rinha"}  # with PROCESS the list would contain root too
    assert any(row[1] == "root" for row in stack.sql("SHOW PROCESSLIST"))


def test_upgrades_run_as_root_over_a_socket_that_only_its_owner_reaches(stack: RunningStack) -> None:
    assert (stack.data.stat().st_mode & 0o777, (stack.data / "run").stat().st_mode & 0o777) == (0o700, 0o700)
    assert stack.sql("SELECT CURRENT_USER()") == [["root@localhost"]]
    assert stack.sql("SELECT user, host FROM mysql.user WHERE user NOT LIKE 'mysql.%' ORDER BY user") == [
        ["rinha", "%"],
        ["root", "localhost"],
    ]


def test_the_password_is_in_one_file_and_in_no_process_list_environment_or_log(stack: RunningStack) -> None:
    password = (stack.data / "db_password").read_bytes()
    assert len(password) == 32
    assert (stack.data / "db_password").stat().st_mode & 0o777 == 0o600
    assert set(processes(stack).values()) == {"up", "mysql", "reserve", "api1", "api2", "nginx"}
    for pid, component in processes(stack).items():
        for file in ("cmdline", "environ"):
            with suppress(*ENDED):
                assert password not in Path(f"/proc/{pid}/{file}").read_bytes(), f"{component}: {file}"
    texts = [path for path in stack.data.rglob("*") if path.is_file() and "mysql" not in path.parts]
    assert {path.name for path in texts} >= {
        "up.log",
        "api1.log",
        "mysql.log",
        "nginx-access.log",
        "nginx.conf",
        "people.conf",
    }
    assert [path.name for path in texts if password in path.read_bytes()] == ["db_password"]


def test_the_database_of_the_containers_gets_no_password_as_an_argument(tmp_path: Path) -> None:
    """Every user of the host may read the arguments of a container's processes."""
    arguments, statements = tmp_path / "arguments", tmp_path / "statements"
    for name in ("cat", "mysql"):
        real = f'{shutil.which(name)} "$@"' if name == "cat" else f"tee {statements}"
        make_program(tmp_path / name, f'printf "%s\\n" "$@" >> {arguments}\nexec {real}')
    (tmp_path / "password").write_text("5ec3e7")
    script = (ROOT / "db/account.sh").read_text().replace("/db/account.sql", str(ROOT / "db/account.sql"))

    subprocess.run(
        ["sh", "-c", script],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "DB_PASSWORD_FILE": str(tmp_path / "password"),
            "MYSQL_ROOT_PASSWORD": "r007",
            "UNFINISHED": str(tmp_path / "unfinished"),
        },
        check=True,
    )

    assert statements.read_text() == "SET @password = '5ec3e7';\n" + (ROOT / "db/account.sql").read_text()
    assert "--user=root" in arguments.read_text()
    assert not re.search("5ec3e7|r007", arguments.read_text())


def test_the_images_hold_the_service_the_page_and_no_secret() -> None:
    """The build receives only the files that the images need."""
    containerfile = (ROOT / "Containerfile").read_text()

    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", containerfile, re.MULTILINE)
    assert sorted(copied) == [
        "db/", "lb/*.conf", "openapi.yaml", "page/", "requirements-page.txt", "requirements.txt", "service/",
    ]  # fmt: skip
    assert not re.search("password|secret", containerfile, re.IGNORECASE)
    sent = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert sent[0] == "*"
    assert {line[1:] for line in sent if line.startswith("!")} == {
        "db", "lb", "openapi.yaml", "page", "requirements-page.txt", "requirements.txt", "service",
    }  # fmt: skip


def test_only_nginx_listens_and_on_one_port(stack: RunningStack) -> None:
    listening = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if table.startswith("udp") or fields[3] == "0A":
                listening[f"socket:[{fields[9]}]"] = int(fields[1].rpartition(":")[2], 16)
    held = {
        (component, listening[target])
        for pid, component in processes(stack).items()
        for target in _open_files(pid)
        if target in listening
    }

    assert held == {("nginx", stack.port)}


def _open_files(pid: int) -> list[str]:
    files = []
    with suppress(*ENDED):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(*ENDED):
                files.append(os.readlink(link))
    return files


def test_the_account_of_the_service_adds_and_reads_a_person(service: Cursor) -> None:
    """Otherwise the tests above would pass for an account that can do nothing."""
    person = new_person()

    service.execute(
        "INSERT INTO pessoas (id, apelido, nome, nascimento) VALUES (%s, %s, %s, %s)",
        (person.id, person.nickname, person.name, person.birth_date),
    )

    service.connection.commit()
    service.execute("SELECT nome FROM pessoas WHERE id = %s", (person.id,))
    assert service.fetchall() == ((person.name,),)
