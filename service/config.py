"""The settings of the service, read once from the environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


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
    db_name: str = "rinha"
    db_user: str = "rinha"
    db_password: str = field(repr=False)
    db_timeout: float = 1.0
    shutdown_timeout: float = 8.0
    log_level: str = "INFO"

    def address(self, worker: int) -> str:
        """Return where a worker, counted from 1, listens: in a unix path, % stands for its number."""
        return self.listen.replace("%", str(worker)) if self.listen.startswith("unix:") else self.listen

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Return the settings in `env`; raise ConfigError if one is missing or invalid."""
        given = {one.name: value for one in fields(cls) if (value := _value(env, one.name.upper())) is not None}
        if "db_password" not in given:
            raise ConfigError("DB_PASSWORD or DB_PASSWORD_FILE must be set")
        config = cls(**{name: _PARSERS.get(name, _parse_text)(name.upper(), value) for name, value in given.items()})
        if config.metrics_listen in [config.address(worker) for worker in range(1, config.workers + 1)]:
            raise ConfigError(f"METRICS_LISTEN is an address of LISTEN: {config.metrics_listen}")
        return config


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
_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "listen": _parse_listen,
    "metrics_listen": _parse_metrics_listen,
    "workers": _number_parser(int, 1, 64),
    "db_port": _parse_port,
    "db_timeout": _number_parser(float, 0.1, 60),
    "shutdown_timeout": _number_parser(float, 0.1, 600),
    "log_level": _parse_log_level,
}
