"""`create`, `get`, `search` and `count` print people, and what the service refuses."""

import json
import re
import socket
import subprocess

import pytest
from rich.cells import cell_len

from tests.support.commands import check_refused
from tests.support.people import create_person, new_nickname
from tests.support.polling import TIMEOUT
from tests.support.stack import RunningStack, free_port, ops_command, ops_environment, rinha
from tests.support.terminal import TerminalCommand


@pytest.fixture
def url(stack: RunningStack) -> str:
    """Return the option value that names the stack."""
    return f"http://localhost:{stack.port}"


def test_a_person_is_created_shown_found_and_counted(url: str) -> None:
    nick, before = new_nickname(), int(rinha("count", "--url", url).stdout)
    created = rinha("create", nick, "Ção Nuñes", "2000-02-29", "C#", "Node.js", "--url", url)
    assert created.returncode == 0, created.stderr
    assert re.fullmatch(rf"[-0-9a-f]{{36}}  {nick}  Ção Nuñes  2000-02-29  C#, Node\.js\n", created.stdout)
    identifier = created.stdout.split()[0]

    assert rinha("get", identifier, "--url", url).stdout == created.stdout
    assert rinha("search", nick[2:].upper(), "--url", url).stdout == created.stdout + "1 found\n"
    assert rinha("search", new_nickname(), "--url", url).stdout == "0 found\n"
    assert int(rinha("count", "--url", url + "/").stdout) == before + 1


def test_the_port_alone_names_a_service_of_this_machine(stack: RunningStack) -> None:
    nick, port = new_nickname(), ("--port", str(stack.port))
    created = rinha("create", nick, "Ana", "2000-02-29", *port)
    assert created.returncode == 0, created.stderr

    assert rinha("get", created.stdout.split()[0], *port).stdout == created.stdout
    assert rinha("search", nick, *port).stdout == created.stdout + "1 found\n"
    assert int(rinha("count", *port).stdout) >= 1
    both = rinha("count", *port, "--url", f"http://localhost:{stack.port}")
    assert both.returncode == 2
    assert "not allowed with" in both.stderr


def test_the_people_found_stand_in_columns(stack: RunningStack, url: str) -> None:
    mark = new_nickname()
    for name in (f"{mark} Zé", f"Um nome longo {mark}", f"日本 {mark}"):
        assert create_person(stack.wire, nome=name).status == 201

    *people, last = rinha("search", mark, "--url", url).stdout.splitlines()

    assert last == "3 found"
    assert len({cell_len(line.partition("2000-01-01")[0]) for line in people}) == 1, people


@pytest.mark.parametrize(("variables", "is_marked"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_the_match_stands_out_on_a_terminal(
    stack: RunningStack, url: str, variables: dict[str, str], is_marked: bool
) -> None:
    nick = new_nickname()
    create_person(stack.wire, apelido=nick)

    search = TerminalCommand("search", nick.upper(), "--url", url, environment=variables)
    try:
        assert search.wait() == 0
        assert (f"m{nick}\x1b[0m" in search.output()) is is_marked
        assert (f"  {nick}  Ana  " in search.output()) is not is_marked
    finally:
        search.close()


def test_a_person_is_created_shown_found_and_counted_as_json(url: str) -> None:
    nick = new_nickname()
    created = rinha("create", nick, "Ção", "2000-02-29", "--url", url, "--json")
    assert created.returncode == 0, created.stderr
    person = json.loads(created.stdout)
    sent = {"apelido": nick, "nome": "Ção", "nascimento": "2000-02-29", "stack": None}
    assert person == {"id": person["id"], **sent}

    assert json.loads(rinha("get", person["id"], "--url", url, "--json").stdout) == person
    assert json.loads(rinha("search", nick, "--url", url, "--json").stdout) == [person]
    assert json.loads(rinha("search", new_nickname(), "--url", url, "--json").stdout) == []
    assert json.loads(rinha("count", "--url", url, "--json").stdout) >= 1


def test_a_search_with_fifty_results_says_that_there_may_be_more(stack: RunningStack, url: str) -> None:
    mark = new_nickname()
    for number in range(51):
        assert create_person(stack.wire, nome=f"{mark} {number}").status == 201

    lines = rinha("search", mark, "--url", url).stdout.splitlines()

    assert len(lines) == 51
    assert lines[-1] == "50 found, and there may be more"


def test_a_refusal_of_the_service_is_printed_as_it_is(url: str) -> None:
    nick = new_nickname()
    rinha("create", nick, "Ana", "2000-01-01", "--url", url)

    check_refused(rinha("create", nick, "Ana", "2000-01-01", "--url", url), "422: apelido is taken")
    check_refused(rinha("create", new_nickname(), "Ana", "2001-02-29", "--url", url), "422: ", "nascimento")
    check_refused(rinha("create", new_nickname(), "Ana", "today", "--url", url), "400: ", "nascimento")
    check_refused(rinha("get", "unknown", "--url", url), "404: no person has this id")
    check_refused(rinha("search", "", "--url", url), "400: ")


def test_an_unreachable_service_is_reported_with_the_command_that_starts_it() -> None:
    address = f"http://localhost:{free_port()}"

    check_refused(rinha("count", "--url", address), address, "./rinha up starts it")


@pytest.mark.parametrize("address", ["nonsense", "http://localhost:http", "http://"])
def test_an_invalid_url_is_refused_in_one_line(address: str) -> None:
    check_refused(rinha("count", "--url", address), address)


def test_another_protocol_on_the_port_is_reported_in_one_line() -> None:
    """The server on the port sends the greeting of OpenSSH."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"http://127.0.0.1:{other.getsockname()[1]}"
        command = ops_command("count", "--url", address)
        with subprocess.Popen(
            command, env=ops_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as count:
            other.settimeout(TIMEOUT)
            with other.accept()[0] as connection:
                connection.settimeout(TIMEOUT)
                connection.recv(9999)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            output, error = count.communicate(timeout=TIMEOUT)

    check_refused(subprocess.CompletedProcess(command, count.returncode, output, error), address)
