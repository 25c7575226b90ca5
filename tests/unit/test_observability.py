"""ops/observability/: the dashboard fits its data source, and the containers beside the contest's are confined."""

import json
import re
from pathlib import Path

import pytest
import yaml

from ops import ROOT
from ops.stack.nginx import metrics_server
from service.metrics import METRICS
from tests.support.compose import SERVICES

OBSERVABILITY = ROOT / "ops/observability"
DASHBOARD = json.loads((OBSERVABILITY / "grafana/rinha.json").read_text())
OVERLAY = yaml.safe_load((OBSERVABILITY / "compose.yaml").read_text())["services"]
ADDED = {name: OVERLAY[name] for name in OVERLAY if name not in SERVICES}
INSTANCES = ("api1", "api2")


def test_the_dashboard_asks_the_data_source_that_grafana_is_given() -> None:
    datasource = yaml.safe_load((OBSERVABILITY / "grafana/datasource.yml").read_text())["datasources"][0]

    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {datasource["uid"]}
    assert DASHBOARD["uid"] == "rinha"


def test_the_panels_have_titles_and_ids_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]

    for values in ([panel["id"] for panel in panels], [panel["title"] for panel in panels], places):
        assert len(set(values)) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


@pytest.mark.parametrize("metric", [metric.name for metric in METRICS])
def test_every_metric_of_an_instance_is_on_the_dashboard(metric: str) -> None:
    expressions = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])

    assert metric in expressions


@pytest.mark.parametrize("file", ["rules.yml", "grafana/rinha.json"])
def test_every_metric_that_is_named_exists(file: str) -> None:
    named = set(re.findall(r"\b(?:rinha|http|db)_[a-z_]+(?=[\[{(])", (OBSERVABILITY / file).read_text()))
    known = {metric.name + suffix for metric in METRICS for suffix in ("", "_count", "_sum", "_bucket")}

    assert named - {"http_server_request_duration_seconds_bucket"} <= known


def test_prometheus_asks_the_same_targets_on_a_host_and_in_containers() -> None:
    host, containers = (
        [(target["labels"], target["targets"][0].partition(":")[2]) for target in yaml.safe_load(path.read_text())]
        for path in (OBSERVABILITY / "targets.yml", OBSERVABILITY / "targets-compose.yml")
    )

    # In containers, nginx's log goes to the engine, so mtail cannot read it.
    assert [one for one in host if one[0]["job"] != "nginx-log"] == containers
    assert [labels["instance"] for labels, _ in host] == [*INSTANCES, "nginx", "nginx-log", "mysql"]


def test_nginx_answers_metrics_in_containers_as_on_a_host() -> None:
    sockets = {name: Path(OVERLAY[name]["environment"]["METRICS_LISTEN"].removeprefix("unix:")) for name in INSTANCES}

    assert (OBSERVABILITY / "nginx.conf").read_text() == metrics_server("9998", sockets)
    assert (ROOT / "lb/metrics.conf").read_text() == ""


def test_the_contests_containers_get_metrics_and_nothing_else() -> None:
    changed = {name: set(OVERLAY[name]) for name in OVERLAY if name in SERVICES}

    assert changed == {
        "api1": {"environment"}, "api2": {"environment"}, "nginx": {"volumes"}, "mysql": {"volumes"}
    }  # fmt: skip


@pytest.mark.parametrize("service", ADDED)
def test_an_added_container_is_confined_limited_and_of_a_fixed_version(service: str) -> None:
    settings = ADDED[service]

    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges"]
    assert settings["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert re.match(r"[1-9]\d*:", settings["user"])
    assert re.fullmatch(r"docker\.io/(prom|grafana|nginx)/[a-z-]+:v?\d+\.\d+\.\d+", settings["image"])
    assert all(port.startswith("127.0.0.1:") for port in settings.get("ports", []))


def test_grafana_replaces_no_plugin_of_its_image_because_that_is_read_only() -> None:
    settings = ADDED["grafana"]["environment"]

    assert settings["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    assert settings["GF_PLUGINS_PREINSTALL_AUTO_UPDATE"] == "false"


@pytest.mark.parametrize("service", OVERLAY)
def test_every_file_that_is_mounted_exists(service: str) -> None:
    files = [volume.partition(":")[0] for volume in OVERLAY[service].get("volumes", [])]

    assert all((ROOT / file).is_file() for file in files if file.startswith("./"))


def test_operations_md_has_every_alert_and_no_other() -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("\n| alert |")[2].partition("\n\n")[0]
    rules = yaml.safe_load((OBSERVABILITY / "rules.yml").read_text())["groups"][0]["rules"]

    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == [rule["alert"] for rule in rules]


def test_operations_md_starts_the_exporter_of_mysql_as_compose_does() -> None:
    text = (ROOT / "docs/operations.md").read_text()

    assert all(flag in text for flag in ADDED["mysqld-exporter"]["command"] if flag.startswith("--no-collect"))
