"""The settings of the service, read once from the environment."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

MAX_SOCKET_PATH = 107  # bytes that the kernel accepts
MAX_ADDRESS = 300  # bytes of an entry of DB_HOSTS, which is a label of the metrics; a name in DNS has 253 at most
_HOST = re.compile(r"(?P<host>[^\s:\[\]]+|\[(?P<ipv6>[^\s\[\]]+)\])(?::(?P<port>[0-9]+))?")


class ConfigError(ValueError):
    """A setting is missing or invalid; the message names the setting."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings. Each may be given as NAME, or as NAME_FILE: the path of a file that holds the value."""

    listen: str = "127.0.0.1:8080"
    workers: int = 4
    metrics_listen: str = ""
    db_socket: str = ""
    db_host: str = "127.0.0.1"
    db_port: int = 3306
    db_hosts: str = ""
    db_name: str = "rinha"
    db_user: str = "rinha"
    db_password: str = field(repr=False)
    db_timeout: float = 1.0
    shutdown_timeout: float = 8.0
    log_level: str = "INFO"

    def address(self, worker: int) -> str:
        """Return where a worker, counted from 1, listens: in a unix path, % stands for its number."""
        return self.listen.replace("%", str(worker)) if self.listen.startswith("unix:") else self.listen

    def members(self) -> "list[Config]":
        """Return the settings for each member of a MySQL group in DB_HOSTS; none if there is no group.

        In the settings for a member, `db_hosts` has this member only.
        """
        return [replace(self, db_hosts=entry, **_parse_member(entry)) for entry in self.db_hosts.split(",") if entry]

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Return the settings in `env`; raise ConfigError if one is missing or invalid."""
        values, problems = _read(env)
        if problems:
            raise ConfigError(next(iter(problems.values())))
        return cls(**values)

    @classmethod
    def check(cls, env: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Return a line for each setting in `env`, without secrets, and what is wrong with the settings."""
        values, problems = _read(env)
        lines = []
        for one in fields(cls):
            name = one.name.upper()
            if one.name in problems:
                shown, source = "?", "invalid"
            elif one.name in values:
                shown = str(values[one.name]) if one.repr else "(hidden)"
                source = f"{name}_FILE" if f"{name}_FILE" in env else name
            else:
                shown, source = str(one.default), "default"
            if overriding := [other for other in _OVERRIDDEN_BY.get(one.name, ()) if values.get(other)]:
                source += f", without effect: {overriding[0].upper()} is set"
            lines.append(f"{name + '=' + shown:<40} # {source}")
        return lines, [*problems.values(), *_problems_of_address(str(values.get("listen", "")))]


def _problems_of_address(listen: str) -> Iterator[str]:
    """Yield why an instance could not listen on a unix socket."""
    path = Path(listen.removeprefix("unix:"))
    if listen.startswith("unix:"):
        if not path.parent.is_dir():
            yield f"LISTEN: {path.parent} is not a directory"
        if len(str(path).replace("%", "64").encode()) > MAX_SOCKET_PATH:
            yield f"LISTEN: {path} is longer than {MAX_SOCKET_PATH} bytes"


def _read(env: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the valid values of the settings in `env`, and what is wrong with the other settings."""
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for one in fields(Config):
        name = one.name.upper()
        try:
            value = _value(env, name)
            if value is not None:
                values[one.name] = _PARSERS.get(one.name, _parse_text)(name, value)
            elif one.default is MISSING:
                raise ConfigError(f"{name} or {name}_FILE must be set")
        except ConfigError as error:
            problems[one.name] = str(error)
    if not problems:
        config = Config(**values)
        if config.metrics_listen in [config.address(worker) for worker in range(1, config.workers + 1)]:
            problems["metrics_listen"] = f"METRICS_LISTEN is an address of LISTEN: {config.metrics_listen}"
    return values, problems


def _value(env: Mapping[str, str], name: str) -> str | None:
    path = env.get(f"{name}_FILE")
    if path is None:
        return env.get(name)
    if name in env:
        raise ConfigError(f"both {name} and {name}_FILE are set")
    try:
        return Path(path).read_text().removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}_FILE: {error}") from None


def _parse_text(name: str, value: str) -> str:
    return value


def _parse_listen(name: str, value: str) -> str:
    host, _, port = value.rpartition(":")
    if value.startswith("unix:/"):
        return value
    is_ipv6 = host.startswith("[") and host.endswith("]")
    if not host or host == "unix" or (":" in host and not is_ipv6):
        raise ConfigError(f"{name} is neither HOST:PORT nor [IPV6]:PORT nor unix:/PATH: {value}")
    _parse_port(name, port)
    return value


def _parse_metrics_listen(name: str, value: str) -> str:
    return value and _parse_listen(name, value)


def _parse_hosts(name: str, value: str) -> str:
    for entry in value.split(",") if value else ():
        if not (member := _parse_member(entry)):
            raise ConfigError(f"{name} is no list of HOST, HOST:PORT, [IPV6]:PORT or /PATH without spaces: {value}")
        if len(entry.encode()) > MAX_ADDRESS:
            raise ConfigError(f"{name} has an address of more than {MAX_ADDRESS} bytes: {entry}")
        if "db_port" in member:
            _parse_port(name, member["db_port"])
    return value


def _parse_member(entry: str) -> dict[str, Any]:
    """Return the settings that lead to a member in DB_HOSTS; none if the entry is invalid."""
    if entry.startswith("/") and not re.search(r"\s", entry):
        return {"db_socket": entry}
    if not (match := _HOST.fullmatch(entry)):
        return {}
    port = {"db_port": int(match["port"])} if match["port"] else {}
    return {"db_socket": "", "db_host": match["ipv6"] or match["host"], **port}


def _number_parser(kind: Callable[[str], Any], least: float, most: float) -> Callable[[str, str], Any]:
    def parse(name: str, value: str) -> Any:
        try:
            number = kind(value)
        except ValueError:
            raise ConfigError(f"{name} is not a number: {value}") from None
        if not least <= number <= most:
            raise ConfigError(f"{name} is not between {least:g} and {most:g}: {value}")
        return number

    return parse


def _parse_log_level(name: str, value: str) -> str:
    if value not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"{name} is not DEBUG, INFO, WARNING or ERROR: {value}")
    return value


_parse_port = _number_parser(int, 1, 65535)
# The settings without effect if one of others is set.
_OVERRIDDEN_BY = {
    "db_socket": ("db_hosts",), "db_host": ("db_hosts", "db_socket"), "db_port": ("db_socket",),
}  # fmt: skip
_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "listen": _parse_listen,
    "metrics_listen": _parse_metrics_listen,
    "workers": _number_parser(int, 1, 64),
    "db_port": _parse_port,
    "db_hosts": _parse_hosts,
    "db_timeout": _number_parser(float, 0.1, 60),
    "shutdown_timeout": _number_parser(float, 0.1, 600),
    "log_level": _parse_log_level,
}
