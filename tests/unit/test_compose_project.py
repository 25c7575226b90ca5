"""What ./rinha bench --compose refuses, and how it ends the commands that it has started."""

import socket
from pathlib import Path

import pytest

from bench import compose_project, compose_stack
from ops.errors import OperatorError
from ops.system.cgroups import Limit
from ops.system.processes import members

LIMIT = Limit(0.92, 1536 << 20)


@pytest.mark.parametrize(
    ("stated", "applied"),
    [
        (LIMIT, Limit(0.95, LIMIT.memory)),
        (LIMIT, Limit(0.92, 1535 << 20)),
        (LIMIT, Limit(0, 0)),
        (Limit(0, 0), Limit(0, 0)),
        (Limit(0, LIMIT.memory), Limit(0, LIMIT.memory)),
        (Limit(0.92, 0), Limit(0.92, 0)),
    ],
)
def test_a_limit_that_is_not_both_stated_and_applied_is_refused(stated: Limit, applied: Limit) -> None:
    compose_stack.check_limit("mysql by podman", LIMIT, LIMIT)

    with pytest.raises(OperatorError, match=r"mysql by podman is not limited: stated are .*, applied are "):
        compose_stack.check_limit("mysql by podman", stated, applied)


def test_without_a_container_engine_the_message_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(OperatorError, match=r"no containers here: podman is not installed; docker is not installed"):
        compose_project.find_engine()


def test_a_port_in_use_is_refused_before_the_load(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(OperatorError, match=f"port {port} is taken"),
            compose_stack.compose_stack(["podman"], port, tmp_path, print),
        ):
            pytest.fail("the containers were started")


def test_a_command_that_does_not_end_is_ended_with_all_it_has_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compose_project, "INTERRUPT_TIMEOUT", 0.3)
    script = 'trap "" INT; sleep 100 & echo $$ > group; wait'  # both processes ignore the interrupt

    with pytest.raises(OperatorError, match=r"sh -c .* does not end in 3 s"):
        compose_project.run_command("sh", "-c", script, timeout=3, cwd=tmp_path)

    group = int((tmp_path / "group").read_text())
    # A killed process closes its pipes a moment before it is gone.
    compose_project.wait_for(lambda: not members(group), "all processes are gone", timeout=5)


def test_a_command_that_is_interrupted_may_end_what_it_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compose_project, "INTERRUPT_TIMEOUT", 10)

    with pytest.raises(OperatorError, match=r"does not end"):
        compose_project.run_command("sh", "-c", "sleep 0.8; touch done", timeout=0.3, cwd=tmp_path)

    assert (tmp_path / "done").exists()
