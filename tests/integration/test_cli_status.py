"""`status` describes the stack, and `sql` runs statements on its database."""

import re

from tests.support.commands import status_of
from tests.support.people import create_person, new_nickname
from tests.support.processes import processes_of
from tests.support.stack import RunningStack


def test_status_as_json_describes_the_stack_and_its_components(stack: RunningStack) -> None:
    create_person(stack.wire)

    status = status_of(stack)

    assert set(status) == {"port", "pid", "data", "ready", "uptime_seconds", "rows", "components"}
    assert (status["port"], status["data"], status["ready"]) == (stack.port, str(stack.data), True)
    assert status["rows"] == int(stack.wire.request("GET", "/contagem-pessoas").body) > 0
    assert status["uptime_seconds"] >= 0
    assert status["pid"] in processes_of(stack.data)
    assert status["components"].pop("reserve")["processes"] >= 1  # a process of one second is its pause
    assert {name: component["processes"] for name, component in status["components"].items()} == {
        "mysql": 1,
        "api1": 5,
        "api2": 5,
        "nginx": 2,
    }
    for component in status["components"].values():
        assert set(component) == {"pid", "processes", "memory", "cpu"}
        assert component["pid"] in processes_of(stack.data)
        assert component["memory"] > 2**20
        assert component["cpu"] >= 0


def test_status_shows_a_table(stack: RunningStack) -> None:
    completed = stack.rinha("status")
    first, _, *rows = completed.stdout.splitlines()

    assert completed.returncode == 0, completed.stderr
    assert re.fullmatch(rf"http://localhost:{stack.port}  up \d+ s  [\d,]+ rows", first)
    assert [row.split()[0] for row in rows] == ["mysql", "reserve", "api1", "api2", "nginx"]
    assert all(re.fullmatch(r"\w+ +\d+ +\d+ +\d+ MB +\d+\.\d s", row) for row in rows)


def test_sql_runs_statements_on_the_database_of_the_stack(stack: RunningStack) -> None:
    nick = new_nickname()
    create_person(stack.wire, apelido=nick, nome="José 😀")
    statement = f"SELECT nome FROM pessoas WHERE apelido = '{nick}'"

    given, piped = stack.rinha("sql", "-e", statement), stack.rinha("sql", input=statement)

    assert (given.returncode, given.stdout) == (0, "nome\nJosé 😀\n")
    assert (piped.returncode, piped.stdout) == (0, "nome\nJosé 😀\n")


def test_sql_prints_the_error_of_a_wrong_statement(stack: RunningStack) -> None:
    completed = stack.rinha("sql", "-e", "SELECT nonsense FROM pessoas")

    assert completed.returncode == 1
    assert "Unknown column 'nonsense'" in completed.stderr
