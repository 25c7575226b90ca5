"""Every setting is read once, from NAME or NAME_FILE, and an invalid one is refused before anything starts."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ops import ROOT
from service.config import Config, ConfigError

SECRET = {"DB_PASSWORD": "secret"}

# Name, default, a text in the environment, and its value.
SETTINGS: list[tuple[str, Any, str, Any]] = [
    ("LISTEN", "127.0.0.1:8080", "unix:/run/rinha/api1.sock", "unix:/run/rinha/api1.sock"),
    ("WORKERS", 4, "2", 2),
    ("METRICS_LISTEN", "", "127.0.0.1:9100", "127.0.0.1:9100"),
    ("DB_SOCKET", "", "/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock"),
    ("DB_HOST", "127.0.0.1", "db", "db"),
    ("DB_PORT", 3306, "3307", 3307),
    ("DB_HOSTS", "", "a,b:3307,/run/c.sock", "a,b:3307,/run/c.sock"),
    ("DB_NAME", "rinha", "people", "people"),
    ("DB_USER", "rinha", "people", "people"),
    ("DB_PASSWORD", None, "p@ss word=#1", "p@ss word=#1"),
    ("DB_TIMEOUT", 1.0, "2.5", 2.5),
    ("SHUTDOWN_TIMEOUT", 8.0, "20", 20.0),
    ("LOG_LEVEL", "INFO", "WARNING", "WARNING"),
]

INVALID = [
    ("LISTEN", ""),
    ("LISTEN", "8080"),
    ("LISTEN", ":8080"),
    ("LISTEN", "localhost"),
    ("LISTEN", "::1:8080"),
    ("LISTEN", "[::1]"),
    ("LISTEN", "[::1:8080"),
    ("LISTEN", "localhost:"),
    ("LISTEN", "localhost:http"),
    ("LISTEN", "localhost:0"),
    ("LISTEN", "localhost:65536"),
    ("LISTEN", "unix:"),
    ("LISTEN", "unix:api.sock"),
    ("WORKERS", ""),
    ("WORKERS", "many"),
    ("WORKERS", "2.5"),
    ("WORKERS", "0"),
    ("WORKERS", "-1"),
    ("WORKERS", "65"),
    ("METRICS_LISTEN", "9100"),
    ("METRICS_LISTEN", "unix:metrics.sock"),
    ("METRICS_LISTEN", "127.0.0.1:8080"),  # the default of LISTEN
    ("DB_PORT", "mysql"),
    ("DB_PORT", "0"),
    ("DB_PORT", "65536"),
    ("DB_TIMEOUT", "1s"),
    ("DB_TIMEOUT", "0"),
    ("DB_TIMEOUT", "61"),
    ("DB_TIMEOUT", "nan"),
    ("DB_TIMEOUT", "inf"),
    ("SHUTDOWN_TIMEOUT", "soon"),
    ("SHUTDOWN_TIMEOUT", "-1"),
    ("SHUTDOWN_TIMEOUT", "601"),
    ("LOG_LEVEL", ""),
    ("LOG_LEVEL", "LOUD"),
    ("LOG_LEVEL", "info"),
]


def run_service(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m service` with these settings alone."""
    names = {name for field in fields(Config) for name in (field.name.upper(), f"{field.name.upper()}_FILE")}
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_table_above_has_every_setting() -> None:
    assert [name for name, *_ in SETTINGS] == [field.name.upper() for field in fields(Config)]


@pytest.mark.parametrize(("name", "default"), [row[:2] for row in SETTINGS if row[0] != "DB_PASSWORD"])
def test_a_setting_that_is_not_given_has_its_default(name: str, default: Any) -> None:
    assert getattr(Config.from_env(SECRET), name.lower()) == default


@pytest.mark.parametrize(("name", "text", "value"), [(row[0], *row[2:]) for row in SETTINGS])
def test_a_setting_is_read_from_its_name(name: str, text: str, value: Any) -> None:
    read = getattr(Config.from_env({**SECRET, name: text}), name.lower())

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("name", "text", "value"), [(row[0], *row[2:]) for row in SETTINGS])
@pytest.mark.parametrize("end", ["", "\n"], ids=["bare", "with newline"])
def test_a_setting_is_read_from_a_file(tmp_path: Path, name: str, text: str, value: Any, end: str) -> None:
    """Secrets are mounted as files; one newline at the end is the editor's and no part of the value."""
    file = tmp_path / "value"
    file.write_text(text + end)
    others = {} if name == "DB_PASSWORD" else SECRET

    assert getattr(Config.from_env({**others, f"{name}_FILE": str(file)}), name.lower()) == value


def test_only_one_newline_is_taken_from_the_end_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" ção\n\n")

    assert Config.from_env({"DB_PASSWORD_FILE": str(file)}).db_password == " ção\n"


@pytest.mark.parametrize("name", [name for name, *_ in SETTINGS])
def test_a_setting_given_twice_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Two equal values are refused too: the service does not guess which one is meant."""
    file = tmp_path / "value"
    file.write_text("1")

    with pytest.raises(ConfigError, match=f"both {name} and {name}_FILE"):
        Config.from_env({**SECRET, name: "1", f"{name}_FILE": str(file)})


@pytest.mark.parametrize(("name", "text"), INVALID)
def test_an_invalid_value_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} ") as refused:
        Config.from_env({**SECRET, name: text})

    assert str(refused.value).endswith(text.rpartition(":")[2])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "text"), INVALID)
def test_an_invalid_value_in_a_file_is_refused_by_name(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / "value"
    file.write_text(text)

    with pytest.raises(ConfigError, match=rf"^{name} "):
        Config.from_env({**SECRET, f"{name}_FILE": str(file)})


@pytest.mark.parametrize(
    ("name", "text"),
    [("WORKERS", "1"), ("WORKERS", "64"), ("LISTEN", "h:1"), ("LISTEN", "0.0.0.0:65535"), ("LISTEN", "[::]:1"),
     ("LISTEN", "[fe80::1]:8080"), ("DB_TIMEOUT", "0.1"), ("DB_TIMEOUT", "60"),
     ("SHUTDOWN_TIMEOUT", "600"), ("LOG_LEVEL", "DEBUG"), ("LOG_LEVEL", "ERROR")],
)  # fmt: skip
def test_the_limits_of_a_range_are_valid(name: str, text: str) -> None:
    assert str(getattr(Config.from_env({**SECRET, name: text}), name.lower())).removesuffix(".0") == text


def test_the_password_must_be_given() -> None:
    with pytest.raises(ConfigError, match="DB_PASSWORD or DB_PASSWORD_FILE"):
        Config.from_env({})


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["not there", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigError, match=r"^DB_PASSWORD_FILE: "):
        Config.from_env({"DB_PASSWORD_FILE": str(file)})


def test_a_directory_in_place_of_a_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^DB_PASSWORD_FILE: .*directory"):
        Config.from_env({"DB_PASSWORD_FILE": str(tmp_path)})


def test_the_password_is_not_in_the_repr_of_the_settings() -> None:
    assert "secret" not in repr(Config(db_password="secret"))


def test_other_variables_of_the_environment_are_ignored() -> None:
    assert Config.from_env({**SECRET, "PATH": "/bin", "WORKERS_MAX": "x", "workers": "x"}) == Config(
        db_password="secret"
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "name"),
    [
        ([], {**SECRET, "WORKERS": "many"}, "WORKERS"),
        ([], {}, "DB_PASSWORD"),
        ([], {"DB_PASSWORD_FILE": "/nowhere/password"}, "DB_PASSWORD_FILE"),
        (["--healthcheck"], {**SECRET, "LISTEN": "8080"}, "LISTEN"),
        ([], {**SECRET, "LISTEN": "unix:/nowhere/api.sock"}, "/nowhere/api.sock: No such file"),
        ([], {**SECRET, "LISTEN": "::1:8080"}, "LISTEN"),
    ],
)
def test_the_service_does_not_start_with_an_invalid_setting(
    arguments: list[str], environment: dict[str, str], name: str
) -> None:
    """It exits with status 2 and one plain line, no traceback."""
    completed = run_service(*arguments, **environment)

    assert completed.returncode == 2
    assert completed.stdout == ""
    (line,) = completed.stderr.splitlines()
    assert line.startswith("service: ")
    assert name in line


def test_the_check_prints_every_setting_with_its_source_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret")

    completed = run_service("--check", DB_PASSWORD_FILE=str(file), DB_SOCKET="/run/mysqld.sock", WORKERS="2")

    assert (completed.returncode, completed.stderr) == (0, "")
    assert "secret" not in completed.stdout
    settings = dict(re.split(r" +# ", line) for line in completed.stdout.splitlines())
    values = dict(setting.split("=", 1) for setting in settings)
    assert list(values) == [name for name, *_ in SETTINGS]
    defaults = {name: str(default) for name, default, *_ in SETTINGS}
    assert values == {**defaults, "DB_PASSWORD": "(hidden)", "DB_SOCKET": "/run/mysqld.sock", "WORKERS": "2"}
    assert settings["WORKERS=2"] == "WORKERS"
    assert settings["DB_PASSWORD=(hidden)"] == "DB_PASSWORD_FILE"
    assert settings["DB_PORT=3306"] == "default, without effect: DB_SOCKET is set"
    assert settings["DB_NAME=rinha"] == "default"


def test_the_check_names_everything_that_is_wrong(tmp_path: Path) -> None:
    completed = run_service("--check", WORKERS="many", DB_PORT="0", LISTEN=f"unix:{tmp_path}/no/{'a' * 107}")

    assert completed.returncode == 2
    assert len(completed.stdout.splitlines()) == len(SETTINGS)
    names = [re.match(r"service: (\w+)", line) for line in completed.stderr.splitlines()]
    assert [name and name[1] for name in names] == ["WORKERS", "DB_PORT", "DB_PASSWORD", "LISTEN", "LISTEN"]


@pytest.mark.parametrize(("name", "text"), INVALID)
def test_the_check_finds_what_the_service_refuses(name: str, text: str) -> None:
    lines, problems = Config.check({**SECRET, name: text})

    with pytest.raises(ConfigError) as refused:
        Config.from_env({**SECRET, name: text})
    assert problems == [str(refused.value)]
    assert [line.split()[0] for line in lines if "invalid" in line] == [f"{name}=?"]
