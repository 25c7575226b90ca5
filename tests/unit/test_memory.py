"""The most memory that MySQL may use, by the settings of db/my.cnf, fits its container in compose.yaml."""

import re

import yaml

from ops import ROOT

MYSQLD = 250  # megabytes of the server itself: a fresh one has 180
TEMPORARY = ("sort_buffer_size", "join_buffer_size", "read_buffer_size", "read_rnd_buffer_size")
STACK = 0.375  # megabytes of a connection beside its buffers
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}


def megabytes(settings: dict[str, str], name: str) -> float:
    """Return a setting in megabytes."""
    number = re.fullmatch(r"(\d+)([KM]?)", settings[name])
    assert number
    return int(number[1]) * UNITS[number[2]] / 1e6


def test_all_statements_that_may_be_alive_fit_with_everything_else() -> None:
    text = (ROOT / "db/my.cnf").read_text()
    settings = dict(re.findall(r"^(\w+) *= *(\w+)", text, re.MULTILINE))
    container = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["mysql"]
    limit = int(container["deploy"]["resources"]["limits"]["memory"].removesuffix("M")) * (1 << 20) / 1e6

    shared = sum(
        megabytes(settings, name)
        for name in ("innodb_buffer_pool_size", "innodb_log_buffer_size", "innodb_ft_cache_size", "temptable_max_ram")
    )
    each = megabytes(settings, "innodb_ft_result_cache_limit") + STACK
    each += sum(megabytes(settings, name) for name in TEMPORARY)

    assert MYSQLD + shared + int(settings["max_user_connections"]) * each <= limit
