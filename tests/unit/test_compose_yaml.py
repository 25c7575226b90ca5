"""compose.yaml keeps the contest's budget, confines each container, publishes one port, and equals the README."""

import re
from decimal import Decimal

import pytest

from bench.compose_project import IMAGES
from ops import ROOT
from tests.support.compose import SERVICES, limits_of, total_limits


def test_all_containers_together_stay_inside_the_contests_budget() -> None:
    cpus, memory = total_limits()

    assert cpus <= Decimal("1.5")
    assert memory <= 3072


def test_the_topology_is_the_contests() -> None:
    assert set(SERVICES) == {"nginx", "api1", "api2", "mysql"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_is_limited_confined_and_checked(service: str) -> None:
    settings = SERVICES[service]
    cpus, memory = limits_of(service)

    assert cpus > 0
    assert memory > 0
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert not {"cap_add", "privileged", "devices", "pid", "ipc"} & settings.keys()
    assert settings["security_opt"] == ["no-new-privileges"]
    assert settings["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "start_period"} <= settings["healthcheck"].keys()
    assert settings["stop_grace_period"]


def test_only_the_load_balancer_publishes_a_port() -> None:
    assert {service: settings["ports"] for service, settings in SERVICES.items() if "ports" in settings} == {
        "nginx": ["${RINHA_PORT:-9999}:9999"]
    }
    assert {service: settings.get("network_mode") for service, settings in SERVICES.items()} == {
        "nginx": None,
        "api1": "none",
        "api2": "none",
        "mysql": "none",
    }


def test_the_load_balancer_listens_on_ipv6_only_where_the_kernel_has_it() -> None:
    script = SERVICES["nginx"]["command"][-1]

    assert "[ ! -e /proc/net/if_inet6 ] || cp /etc/nginx/listen_ipv6.conf /tmp/\n" in script
    assert script.splitlines()[-1].startswith("exec nginx ")


def test_the_load_balancer_logs_terms_only_if_the_operator_asks_for_them() -> None:
    assert SERVICES["nginx"]["environment"] == {"LOG_TERMS": "${RINHA_LOG_TERMS:-}"}
    assert '[ -z "$$LOG_TERMS" ] || cp /etc/nginx/*_terms.conf /tmp/\n' in SERVICES["nginx"]["command"][-1]
    assert sorted(path.name for path in (ROOT / "lb").glob("*_terms.conf")) == [
        "logged_uri_terms.conf", "request_errors_terms.conf",
    ]  # fmt: skip


def test_the_logs_of_all_containers_together_are_bounded() -> None:
    sizes = []
    for settings in SERVICES.values():
        assert settings["logging"]["driver"] == "json-file"
        size = re.fullmatch(r"(\d+)m", settings["logging"]["options"]["max-size"])
        assert size
        sizes.append(int(size[1]) * int(settings["logging"]["options"]["max-file"]))

    assert sum(sizes) <= 1024


def test_the_load_balancer_knows_every_worker_of_both_instances() -> None:
    servers = "".join((ROOT / f"lb/{lane}.conf").read_text() for lane in ("people", "searches"))
    named = re.findall(r"^server unix:(\S+) max_fails=0 .+;$", servers, re.MULTILINE)
    instances = [SERVICES[service]["environment"] for service in ("api1", "api2")]
    listening = [
        instance["LISTEN"].removeprefix("unix:").replace("%", str(number))
        for instance in instances
        for number in range(1, int(instance["WORKERS"]) + 1)
    ]

    assert sorted(named) == sorted(listening)


@pytest.mark.parametrize("service", SERVICES)
def test_no_container_starts_as_root(service: str) -> None:
    if service.startswith("api"):
        user = re.findall(r"^USER (.+)$", (ROOT / "Containerfile").read_text(), re.MULTILINE)[-1]
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    else:
        assert SERVICES[service]["user"] not in ("", "root", "0", "0:0")


@pytest.mark.parametrize("service", SERVICES)
def test_no_password_is_written_down(service: str) -> None:
    for name in SERVICES[service].get("environment", {}):
        assert "PASSWORD" not in name or name.endswith("_FILE")


def test_public_images_are_named_in_full_and_with_a_version() -> None:
    bases = re.findall(r"^FROM (\S+)(?: AS (\S+))?", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    stages = {stage for _, stage in bases}
    images = {image for image, _ in bases if image not in stages}

    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"docker\.io/library/[a-z]+:\d+\.\d+(-slim)?", image), image


def test_the_readmes_table_of_containers_is_compose_yamls() -> None:
    """The README has a table `| container | CPU | memory |` with a row for each service and one for the total."""
    lines = (ROOT / "README.md").read_text().splitlines()
    heads = [number for number, line in enumerate(lines) if _cells(line) == ["container", "CPU", "memory"]]
    assert len(heads) == 1, "no table with the columns container, CPU, memory"
    rows = {}
    for line in lines[heads[0] + 2 :]:
        if not line.startswith("|"):
            break
        name, cpus, memory = _cells(line)
        rows[name] = (Decimal(cpus), int(memory.removesuffix(" MB")))

    assert rows == {service: limits_of(service) for service in SERVICES} | {"total": total_limits()}


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("*`") for cell in line.strip().strip("|").split("|")]


@pytest.mark.parametrize("service", SERVICES)
def test_no_container_reads_a_file_of_the_checkout(service: str) -> None:
    """The modes of the checkout depend on the umask of the clone; each image gives its files fixed modes."""
    settings = SERVICES[service]
    volumes = [volume.partition(":")[0] for volume in settings["volumes"]]

    assert all(re.fullmatch("[a-z-]+", volume) for volume in volumes)
    image = re.fullmatch(r"localhost/(\S+):\$\{RINHA_VERSION:-latest\}", settings["image"])
    assert image
    assert image[1] in IMAGES


def test_each_image_gives_its_files_fixed_modes() -> None:
    stages = re.split(r"^FROM ", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE)[1:]

    copies = [stage for stage in stages if re.search(r"^COPY (?!--from)(?!requirements)", stage, re.MULTILINE)]
    assert len(copies) == len(IMAGES)
    for stage in copies:
        assert stage.rindex("chmod -R u=rwX,go=rX") > stage.rindex("COPY"), stage
