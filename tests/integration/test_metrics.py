"""An instance answers metrics on an address of their own; kills of workers lose and leave nothing."""

import socket
from collections import Counter
from pathlib import Path

import pytest

from ops.system.processes import members
from tests.support.client import OverTheWire, post
from tests.support.instance import EACH, Instance, Start, connect, service_environment
from tests.support.metrics import requests_of, scrape
from tests.support.people import new_document
from tests.support.polling import TIMEOUT, wait_until
from tests.support.processes import kill
from tests.support.stack import RunningStack, free_port, running_stack

WORKERS, KILLS = 10, 50


@pytest.fixture
def metrics(directory: Path) -> OverTheWire:
    """Return a client of the address of the metrics."""
    return OverTheWire(str(directory / "metrics.sock"))


@pytest.fixture
def instance(start: Start, directory: Path) -> Instance:
    """Return an instance with two workers and metrics."""
    instance = start(EACH, METRICS_LISTEN=f"unix:{directory}/metrics.sock")
    instance.wait_for_workers(3)
    return instance


def metrics_process(instance: Instance) -> int:
    """Return the process that answers the metrics: the last one that the supervisor has started."""
    return max(instance.workers())


def test_without_metrics_listen_no_process_answers_metrics(start: Start) -> None:
    instance = start(EACH)
    instance.wait_for_workers(2)

    assert instance.get("/metrics").status == 404


def test_the_metrics_are_not_on_an_address_of_the_workers(instance: Instance, metrics: OverTheWire) -> None:
    assert instance.get("/metrics").status == 404
    assert scrape(metrics)["rinha_worker_starts_total"] == 2


def test_the_requests_of_all_workers_equal_those_of_the_clients(instance: Instance, metrics: OverTheWire) -> None:
    expected: Counter[tuple[str, str, int]] = Counter()
    for address in instance.addresses:
        client = instance.client_of(address)
        for _ in range(10):
            document = new_document()
            answer = post(client, "/pessoas", document)
            expected["POST", "/pessoas", answer.status] += 1
            expected["POST", "/users", post(client, "/users", document).status] += 1
            path = answer.headers["location"]
            expected["GET", "/pessoas/{identifier}", client.request("GET", path).status] += 1
            search = client.request("GET", f"/pessoas?t={document['apelido']}")
            expected["GET", "/pessoas", search.status] += 1
            expected["GET", "/contagem-pessoas", client.request("GET", "/contagem-pessoas").status] += 1

    samples = scrape(metrics)

    assert requests_of(samples) == expected
    statements = "db_client_operation_duration_seconds_count db_operation_name"
    assert samples[f"{statements}=INSERT error_type="] == 20
    assert samples[f"{statements}=SELECT error_type="] >= 60
    assert samples["rinha_database_connections_total outcome=made"] == 2
    plans = {name: value for name, value in samples.items() if name.startswith("rinha_search_plans_total")}
    assert sum(plans.values()) == 20


def test_no_counter_falls_and_no_file_is_left_when_workers_are_killed_50_times(
    start: Start, metrics: OverTheWire, directory: Path
) -> None:
    instance = start(EACH, METRICS_LISTEN=f"unix:{directory}/metrics.sock", WORKERS=str(WORKERS))
    instance.wait_for_workers(WORKERS + 1)
    files, survivor = sorted(directory.iterdir()), metrics_process(instance)
    before = scrape(metrics)
    for kills in range(WORKERS, KILLS + 1, WORKERS):
        instance.get("/health/live")  # of each worker
        kill(*instance.workers() - {survivor})
        instance.wait_for_workers(WORKERS + 1)
        wait_until(lambda kills=kills: scrape(metrics)["rinha_worker_starts_total"] == WORKERS + kills)  # type: ignore[misc]
        now = scrape(metrics)
        assert [name for name in before if now.get(name, 0) < before[name]] == []
        assert requests_of(now) == {("GET", "/health/live", 200): kills}
        before = now

    assert sorted(directory.iterdir()) == files


def test_the_process_of_the_metrics_is_replaced_and_loses_no_count(instance: Instance, metrics: OverTheWire) -> None:
    instance.get("/health/live")
    victim = metrics_process(instance)

    kill(victim)
    instance.wait_for_workers(3)

    assert requests_of(scrape(metrics)) == {("GET", "/health/live", 200): 2}
    assert victim not in instance.workers()


def test_a_scraper_that_keeps_its_connection_does_not_delay_the_stop(start: Start) -> None:
    port = free_port()
    instance = start(EACH, METRICS_LISTEN=f"127.0.0.1:{port}", SHUTDOWN_TIMEOUT="500")
    with connect(("127.0.0.1", port)) as scraper:
        scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert scraper.recv(4096).startswith(b"HTTP/1.1 200")

        instance.process.terminate()

        assert instance.process.wait(TIMEOUT) == 0


def test_an_address_of_the_metrics_that_is_taken_is_named(stack: RunningStack, directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        environment = service_environment(
            stack, LISTEN=f"unix:{directory}/api.sock", WORKERS="1", METRICS_LISTEN=address
        )
        instance = Instance(environment, directory / "log")

        assert instance.wait() == 2
        assert f"METRICS_LISTEN is {address}: Address already in use" in instance.log()


def test_a_stack_answers_metrics_of_nginx_and_of_each_instance_on_a_port_of_their_own(tmp_path: Path) -> None:
    port = free_port()
    with running_stack(tmp_path, "--metrics-port", str(port), "--workers", "2") as stack:
        requests = 10
        for _ in range(requests):
            assert stack.wire.request("GET", "/users-count").status == 200
        internal = OverTheWire(port)

        counts = [requests_of(scrape(internal, f"/metrics/api{number}")) for number in (1, 2)]

        assert sum(count.get(("GET", "/users-count", 200), 0) for count in counts) == requests
        assert internal.request("GET", "/nginx").body.startswith(b"Active connections: ")
        for path in ("/metrics", "/metrics/api3", "/pessoas"):
            assert internal.request("GET", path).status == 404
        for path in ("/metrics", "/metrics/api1", "/nginx"):
            assert stack.wire.request("GET", path).status == 404
        assert len(members(stack.state.components["api1"].pid)) == 1 + 2 + 1
        stack.rinha("deploy")
        assert scrape(internal, "/metrics/api1")["rinha_worker_starts_total"] == 2
