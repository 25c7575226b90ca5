"""The environment of the processes that the commands start: what this module lists, and nothing else.

A variable is often meant for another program. MYSQL_HOST would send the mysql client to another server, PIP_USER would
move packages, and Kubernetes' DB_PORT would stop the instances. This module uses the standard library only, because it
runs before anything is installed.
"""

import ast
import os
import subprocess
from collections.abc import Mapping

from ops import ROOT

# The person's own files: caches, credentials, settings of a mirror.
HOME = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
# What reaches a package index, a Debian mirror or Maven's repository from this machine.
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
NETWORK = (
    *_PROXIES, *(name.upper() for name in _PROXIES),
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
# Of pip's options only those of the network apply, from variables and from files: with `user` or `target`, pip would
# install elsewhere.
PIP_OPTIONS = (
    "index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "client-cert", "proxy",
    "timeout", "default-timeout", "retries", "cache-dir", "keyring-provider",
)  # fmt: skip
# What a terminal can show, and the programs that the person uses in it.
TERMINAL = (
    "TERM", "TERMINFO", "COLORTERM", "NO_COLOR", "LANG", "LC_ALL", "LC_CTYPE", "EDITOR", "VISUAL", "PAGER",
)  # fmt: skip
# An interpreter outside the system's directories may need its libraries. Coverage is measured in children by the tests.
PYTHON = ("LD_LIBRARY_PATH", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
# The settings of the service that the person chooses: RINHA_LOG_LEVEL becomes LOG_LEVEL of each instance.
SERVICE_SETTINGS = ("DB_TIMEOUT", "SHUTDOWN_TIMEOUT", "LOG_LEVEL")
_PREFIX = "RINHA_"
# Where a container engine is, and which credentials it uses. compose's options are not here: its project is ours.
ENGINE = (
    *HOME, *NETWORK, "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
    "DOCKER_BUILDKIT", "CONTAINER_HOST", "CONTAINER_SSHKEY", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF",
    "DBUS_SESSION_BUS_ADDRESS",
)  # fmt: skip
# MAVEN_OPTS is where Maven has its proxy and its certificates.
JAVA = (*HOME, *NETWORK, "JAVA_HOME", "MAVEN_OPTS")


def listed(*names: str, **settings: str) -> dict[str, str]:
    """Return PATH, those variables of `names` that are set, and `settings`.

    Programs print English and UTF-8, unless `names` has the locale of the terminal.
    """
    inherited = {name: os.environ[name] for name in ("PATH", *names) if name in os.environ}
    locale = {} if "LC_ALL" in names else {"LC_ALL": "C.UTF-8"}
    return {"PATH": os.defpath, **locale, **inherited, **settings}


def of_python(*names: str, **settings: str) -> dict[str, str]:
    """Return the environment of an interpreter that runs modules of this checkout."""
    return listed(*PYTHON, *names, PYTHONPATH=str(ROOT), **settings)


def of_service(**settings: str) -> dict[str, str]:
    """Return the environment of an instance: `settings`, and the settings that the person has chosen."""
    chosen = {name: os.environ[_PREFIX + name] for name in SERVICE_SETTINGS if _PREFIX + name in os.environ}
    return of_python(**chosen, **settings)


def of_commands() -> dict[str, str]:
    """Return the environment of a command of ./rinha that another command starts."""
    return of_python(*HOME, *NETWORK, *(_PREFIX + name for name in SERVICE_SETTINGS))


def of_tests() -> dict[str, str]:
    """Return the environment of tox, which chooses what the tests get."""
    return listed(*HOME, *NETWORK, *PYTHON, *TERMINAL, *map(_variable, PIP_OPTIONS), "CI")


def of_pip(python: str, **settings: str) -> dict[str, str]:
    """Return the environment of the pip of the interpreter `python`."""
    variables = ["PIP_CONFIG_FILE", *map(_variable, PIP_OPTIONS)]
    environment = listed(*HOME, *NETWORK, *PYTHON, *variables, **settings)
    command = [python, "-m", "pip", "config", "list"]
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return {**environment, **_pip_settings(completed.stdout), "PIP_CONFIG_FILE": os.devnull}


def _pip_settings(output: str) -> Mapping[str, str]:
    """Return the options of the network as variables, from the output of `pip config list`."""
    found: dict[str, dict[str, str]] = {}
    for line in output.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if option in PIP_OPTIONS:
            found.setdefault(section, {})[_variable(option)] = str(ast.literal_eval(value))
    sections = ("global", "install", ":env:")  # each takes precedence over the ones before it
    return {name: value for section in sections for name, value in found.get(section, {}).items()}


def _variable(option: str) -> str:
    return "PIP_" + option.upper().replace("-", "_")
