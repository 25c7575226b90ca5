"""A real Prometheus: the dashboard shows data under load, and each alert fires when its fault happens."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest

from ops.system.processes import members
from tests.support.client import OverTheWire
from tests.support.metrics import requests_of, scrape
from tests.support.mysql import locked_table
from tests.support.people import create_person
from tests.support.polling import wait_until
from tests.support.processes import kill
from tests.support.prometheus import DASHBOARD, OBSERVABILITY, RULES, Prometheus
from tests.support.stack import RunningStack, free_port, running_stack
from tests.support.traffic import Traffic

pytestmark = [pytest.mark.faults, pytest.mark.alone, pytest.mark.long]

EXPRESSIONS = {target["expr"]: panel["title"] for panel in DASHBOARD["panels"] for target in panel["targets"]}


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def metered_stack(tmp_path_factory: pytest.TempPathFactory, metrics_port: int) -> Iterator[RunningStack]:
    """Yield a stack that answers Prometheus."""
    with running_stack(tmp_path_factory.mktemp("metered"), "--metrics-port", str(metrics_port)) as stack:
        yield stack


@pytest.fixture(scope="module")
def prometheus(
    metered_stack: RunningStack, metrics_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Yield a Prometheus whose rules have the expressions of rules.yml, over seconds in place of minutes."""
    rules = (OBSERVABILITY / "rules.yml").read_text()
    rules = re.sub(r"for: \w+", "for: 1s", rules.replace("[2m]", "[6s]").replace("[10m]", "[30s]"))
    with Prometheus(metered_stack, metrics_port, tmp_path_factory.mktemp("prometheus"), rules) as prometheus:
        yield prometheus


@contextmanager
def in_the_background(act: Callable[[], object], threads: int = 1) -> Iterator[None]:
    """Do something again and again until the end of the context."""
    end = threading.Event()

    def repeat() -> None:
        while not end.is_set():
            with suppress(OSError):
                act()

    running = [threading.Thread(target=repeat) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in running:
            thread.join()


def test_every_expression_of_dashboard_and_rules_has_data_under_load_and_no_alert_fires(
    metered_stack: RunningStack, prometheus: Prometheus
) -> None:
    # Without the limits of the alerts. Each side of "or" between two series has data.
    rules = [re.sub("(==|>) [0-9.]+", "> -1e9", rule["expr"]) for rule in RULES]
    sides = [side for rule in rules for side in (rule.split(" or ") if "rate" not in rule else [rule])]
    expressions = [re.sub(r"\$__rate_interval|\b(2m|10m)\b", "10s", one) for one in [*EXPRESSIONS, *sides]]

    with in_the_background(lambda: Traffic(metered_stack.port, 100, clients=2, pause=0.05)):
        wait_until(
            lambda: all(map(prometheus.query, expressions)),
            describe=lambda: [expression for expression in expressions if not prometheus.query(expression)],
        )
        assert prometheus.firing() == set()


def test_the_requests_that_prometheus_counts_are_those_of_the_clients(
    metered_stack: RunningStack, metrics_port: int
) -> None:
    internal = OverTheWire(metrics_port)

    def counts() -> dict[int, float]:
        found: dict[int, float] = {}
        for instance in ("api1", "api2"):
            for (_, _, status), count in requests_of(scrape(internal, f"/metrics/{instance}")).items():
                found[status] = found.get(status, 0) + count
        return found

    before = counts()
    traffic = Traffic(metered_stack.port, 1000, clients=4)
    after = counts()

    assert {status: after[status] - before.get(status, 0) for status in after} == {
        status: traffic.statuses[status] for status in after
    }


def test_answers_that_reach_no_instance_are_counted_from_nginxs_log(
    metered_stack: RunningStack, prometheus: Prometheus
) -> None:
    """The status 414 comes from nginx alone."""

    def answers() -> float:
        series = prometheus.query('nginx_answers_total{status="414"}')
        return float(series[0]["value"][1]) if series else 0

    for _ in range(10):
        assert metered_stack.wire.request("GET", f"/{'x' * 10_000}").status == 414

    wait_until(lambda: answers() == 10, describe=answers)


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Stop processes until the end of the context."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def stopped_component(stack: RunningStack, component: str) -> Iterator[None]:
    with stopped(*members(stack.state.components[component].pid)):
        yield


@contextmanager
def requests_that_wait_for_mysql(stack: RunningStack, path: str) -> Iterator[None]:
    """Send requests that MySQL holds, so that they are answered 503."""
    with (
        locked_table(stack),
        in_the_background(lambda: stack.wire.request("GET", path), threads=4),
    ):
        yield


@contextmanager
def dying_workers(stack: RunningStack) -> Iterator[None]:
    """Kill the workers of an instance again and again, and spare the process that answers the metrics."""
    pid = stack.state.components["api1"].pid
    spared = {pid, max(members(pid))}  # the supervisor has started it last

    def kill_workers() -> None:
        kill(*set(members(pid)) - spared)
        time.sleep(0.3)

    with in_the_background(kill_workers):
        yield


@contextmanager
def refused_requests(stack: RunningStack) -> Iterator[None]:
    """Send requests that nginx answers itself."""
    with in_the_background(lambda: stack.wire.request("GET", "/health/live"), threads=2):
        yield


Fault = Callable[[RunningStack], AbstractContextManager[None]]
READ = "/pessoas/01a220f8-d583-7a31-8894-f45ece5de753"
FAULTS: dict[str, Fault] = {
    "NginxDown": lambda stack: stopped_component(stack, "nginx"),
    "InstanceDown": lambda stack: stopped_component(stack, "api2"),
    "MySQLDown": lambda stack: stopped_component(stack, "mysql"),
    "RequestsFail": lambda stack: requests_that_wait_for_mysql(stack, READ),
    "RequestsSlow": lambda stack: requests_that_wait_for_mysql(stack, READ),
    "SearchesTimeOut": lambda stack: requests_that_wait_for_mysql(stack, "/pessoas?t=abc"),
    "WorkersDie": dying_workers,
    "NginxRefuses": refused_requests,
}


def test_every_alert_has_a_fault() -> None:
    assert list(FAULTS) == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("alert", FAULTS)
def test_an_alert_fires_when_its_fault_happens_and_ends_with_it(
    metered_stack: RunningStack, prometheus: Prometheus, alert: str
) -> None:
    create_person(metered_stack.wire)
    assert alert not in prometheus.firing()

    with FAULTS[alert](metered_stack):
        wait_until(lambda: alert in prometheus.firing(), describe=prometheus.firing)

    wait_until(lambda: alert not in prometheus.firing(), timeout=90, describe=prometheus.firing)
