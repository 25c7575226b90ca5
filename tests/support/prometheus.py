"""A Prometheus with the exporters of nginx and MySQL, as ops/observability configures them, beside a stack."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from ops import ROOT
from ops.system.debian import install
from tests.support.polling import wait_until
from tests.support.stack import RunningStack, free_port, ops_command, ops_environment

OBSERVABILITY = ROOT / "ops/observability"
DASHBOARD = json.loads((OBSERVABILITY / "grafana/rinha.json").read_text())
RULES = yaml.safe_load((OBSERVABILITY / "rules.yml").read_text())["groups"][0]["rules"]
EXPORTER_FLAGS = [
    flag
    for flag in yaml.safe_load((OBSERVABILITY / "compose.yaml").read_text())["services"]["mysqld-exporter"]["command"]
    if flag.startswith("--no-collect")
]


@cache
def program(name: str) -> list[str]:
    """Return the command line of a program of Debian's packages, which are unpacked on first use."""
    packages = ["prometheus", "prometheus-mysqld-exporter", "prometheus-nginx-exporter", "mtail"]
    return install(packages, lambda line: None).command(f"usr/bin/{name}")


class Prometheus:
    """Prometheus, asking a stack that runs with --metrics-port."""

    def __init__(self, stack: RunningStack, metrics_port: int, directory: Path, rules: str) -> None:
        """Define a Prometheus that asks each second, and evaluates `rules`, the text of rules.yml, each second."""
        self._stack = stack
        self._metrics_port = metrics_port
        self._directory = directory
        self._rules = rules
        self._port = free_port()
        self._running = ExitStack()

    def __enter__(self) -> Self:
        ports = {9998: self._metrics_port, 9113: free_port(), 9104: free_port(), 3903: free_port()}
        self._write_configuration(ports)
        account = self._directory / "exporter.cnf"
        subprocess.run(
            ["sh", OBSERVABILITY / "exporter.sh", account, self._stack.directory.mysql_socket,
             *ops_command("sql", *self._stack.options)],
            env=ops_environment(), check=True, timeout=60,
        )  # fmt: skip
        listen = "--web.listen-address=127.0.0.1:"
        scrape = f"--nginx.scrape-uri=http://127.0.0.1:{self._metrics_port}/nginx"
        self._start("prometheus-nginx-exporter", [scrape, f"{listen}{ports[9113]}"])
        self._start(
            "prometheus-mysqld-exporter", [f"--config.my-cnf={account}", f"{listen}{ports[9104]}", *EXPORTER_FLAGS]
        )
        self._start(
            "mtail",
            [
                f"--progs={OBSERVABILITY}/nginx.mtail",
                f"--logs={self._stack.directory.log}/nginx-access.log",
                f"--log_dir={self._directory}",
                "--address=127.0.0.1",
                f"--port={ports[3903]}",
            ],
        )
        self._start(
            "prometheus",
            [f"--config.file={self._directory}/prometheus.yml", f"--storage.tsdb.path={self._directory}/data",
             f"{listen}{self._port}"],
        )  # fmt: skip
        wait_until(lambda: len(self.query("up == 1")) == 5, describe=lambda: self.query("up"), errors=(OSError,))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.close()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression, now."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/query?{query}", timeout=10) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return result

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {series["metric"]["alertname"] for series in self.query('ALERTS{alertstate="firing"}')}

    def _write_configuration(self, ports: dict[int, int]) -> None:
        """Write the files of ops/observability, with the ports of this Prometheus, and with times of one second."""
        targets = (OBSERVABILITY / "targets.yml").read_text()
        for port, own in ports.items():
            targets = targets.replace(f"localhost:{port}]", f"127.0.0.1:{own}]")
        configuration = (OBSERVABILITY / "prometheus.yml").read_text()
        configuration = configuration.replace("interval: 5s", "interval: 1s").replace("timeout: 4s", "timeout: 1s")
        self._directory.mkdir(exist_ok=True)
        for name, text in (("targets", targets), ("prometheus", configuration), ("rules", self._rules)):
            (self._directory / f"{name}.yml").write_text(text)

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        log = self._running.enter_context((self._directory / f"{name}.log").open("wb"))
        process = subprocess.Popen([*program(name), *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._running.callback(process.wait)
        self._running.callback(process.kill)
