"""Search terms, names and nicknames stand in no log, whatever happens, unless the operator asks for them."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from tests.support.client import Answer
from tests.support.mysql import locked_table, root_cursor
from tests.support.people import create_person, new_nickname
from tests.support.polling import wait_until
from tests.support.processes import kill
from tests.support.stack import SMALL, RunningStack, running_stack

pytestmark = pytest.mark.long

UNKNOWN_ID = "01a220f8-d583-7a31-8894-f45ece5de753"


@pytest.fixture(scope="module", params=[(), ("--log-terms",)], ids=["by default", "--log-terms"])
def logging_stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield a stack that logs no terms, and one that does."""
    with running_stack(tmp_path_factory.mktemp("terms"), *SMALL, *request.param) as stack:
        yield stack


def send(stack: RunningStack, text: str) -> list[Answer]:
    """Send a text as nickname, name, skill, term and path, in requests that are answered in every way."""
    escaped, each_byte = quote(text), "".join(f"%{byte:02x}" for byte in text.encode())
    queries = [
        f"t={escaped}", f"t={each_byte}", f"t={escaped}%ff", f"t={escaped * 600}", f"x={escaped}", f"t=&{escaped}=1",
    ]  # fmt: skip
    paths = [
        *(f"/pessoas?{query}" for query in queries), f"/users?q={escaped}", f"/pessoas/?t={escaped}",
        f"/pessoas/{escaped}", f"/users/{each_byte}/?x", f"/pessoas/{UNKNOWN_ID}?{escaped}",
        f"/pessoas/{UNKNOWN_ID}{escaped}", f"/pessoas%3Ft={escaped}", f"/{escaped}", f"/?{escaped}",
        f"/docs?{escaped}", f"/page/{escaped}", f"/health/{escaped}", f"/contagem-pessoas?{escaped}",
        f"/_400?{escaped}", f"/%zz{escaped}",
    ]  # fmt: skip
    referer = {"Referer": f"http://localhost/{escaped}"}
    return [
        create_person(stack.wire, apelido=text, nome=text, stack=[text]),
        create_person(stack.wire, apelido=text, nome=text),  # taken
        create_person(stack.wire, apelido=text * 9, nome=text),
        create_person(stack.wire, apelido=text, nome=7),
        stack.wire.request("POST", "/pessoas", b'{"apelido": ' + text.encode(), referer),
        *(stack.wire.request("POST", path, text.encode() * 1000, referer) for path in paths if len(path) < 2000),
        *(stack.wire.request(method, path, headers=referer) for path in paths for method in ("GET", "DELETE", "BREW")),
    ]


def refuse_by_trigger(stack: RunningStack, text: str) -> Answer:
    """Let MySQL answer a creation with an error that quotes the name."""
    with root_cursor(stack) as cursor:
        cursor.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON pessoas FOR EACH ROW BEGIN DECLARE reason TEXT "
            "DEFAULT CONCAT('Refused: ''', NEW.nome, ''''); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = reason; END"
        )
        answer = create_person(stack.wire, nome=text)
        cursor.execute("DROP TRIGGER refuse")
    return answer


def exceed_the_time_limit(stack: RunningStack, text: str) -> Answer:
    with locked_table(stack):
        return stack.wire.request("GET", f"/pessoas?t={quote(text)}")


def stop_mysql(stack: RunningStack, text: str) -> Answer:
    victim = stack.state.components["mysql"].pid
    os.kill(victim, signal.SIGSTOP)
    try:
        stack.wire.request("GET", f"/pessoas?t={quote(text)}")
        return create_person(stack.wire, apelido=text, nome=text)
    finally:
        os.kill(victim, signal.SIGCONT)


def stop_instance(stack: RunningStack, text: str) -> Answer:
    """Let nginx answer itself, because the workers' sockets are gone."""
    for socket in stack.directory.run.glob("api1.*.sock"):
        socket.unlink()
    # nginx keeps a connection of each lane for some seconds.
    wait_until(lambda: stack.wire.request("GET", f"/pessoas?t={quote(text)}").status == 503)
    wait_until(lambda: create_person(stack.wire, apelido=text, nome=text).status == 503)
    answer = create_person(stack.wire, apelido=text, nome=text)
    os.kill(stack.state.components["api1"].pid, signal.SIGTERM)
    return answer


def kill_mysql(stack: RunningStack, text: str) -> Answer:
    kill(stack.state.components["mysql"].pid)
    return create_person(stack.wire, apelido=text, nome=text)


FAULTS: list[Callable[[RunningStack, str], Answer]] = [
    refuse_by_trigger, exceed_the_time_limit, stop_mysql, stop_instance, kill_mysql,
]  # fmt: skip


def logs_with(stack: RunningStack, text: str) -> set[str]:
    """Return the names of the logs that have a text in any form: raw, escaped, or with each byte escaped."""
    raw = text.encode()
    forms = [form.lower() for form in (raw, "".join(f"%{byte:02x}" for byte in raw).encode())]
    return {
        str(path.relative_to(stack.directory.log))
        for path in stack.directory.log.rglob("*")
        if any(form in path.read_bytes().lower() for form in forms)
    }


def test_terms_and_names_stand_in_no_log_unless_they_are_asked_for(
    logging_stack: RunningStack, request: pytest.FixtureRequest
) -> None:
    stack, mark = logging_stack, new_nickname()
    is_asked = "--log-terms" in request.node.name

    statuses = {answer.status for answer in send(stack, f"{mark}é")}
    for fault in FAULTS:
        answer = fault(stack, f"{mark}é")
        assert answer.status == 503, fault
        wait_until(lambda: stack.wire.request("GET", "/contagem-pessoas").status == 200)
    last = stack.wire.request("GET", f"/pessoas?t={mark}").headers["x-request-id"]

    assert statuses >= {200, 201, 400, 404, 405, 413, 414, 422}
    access, error, instance = (
        stack.directory.log / name for name in ("nginx-access.log", "nginx-error.log", "api1.log")
    )
    wait_until(lambda: last in access.read_text())
    uris = {json.loads(line)["uri"] for line in access.read_text().splitlines()}
    assert {"/contagem-pessoas", f"/pessoas/{UNKNOWN_ID}"} <= {uri.partition("?")[0] for uri in uris}
    assert "Refused: ***" in instance.read_text()
    assert logs_with(stack, mark) == ({access.name, error.name} if is_asked else set())
    assert ({"/pessoas", "/pessoas/***", "/***"} <= uris) is not is_asked
