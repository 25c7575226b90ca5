"""The person's environment decides nothing that the commands decide; what the person may choose has a list.

Each situation is a row: variables as people, machines and orchestrators export them, and what they did elsewhere.
"""

import ast
import base64
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from ops import ROOT, environment
from ops.system import debian
from tests.support.commands import check_refused, failed_checks
from tests.support.people import create_person, new_nickname
from tests.support.processes import make_program
from tests.support.stack import SMALL, RunningStack, free_port, ops_command, ops_environment


class Situation(NamedTuple):
    """Variables that are exported, and what they would decide."""

    variables: Mapping[str, str]
    decides: str


NOWHERE = "/nowhere"
SITUATIONS = (
    Situation({"MYSQL_HOST": "127.0.0.1", "MYSQL_TCP_PORT": "1"}, "the server on which the mysql client makes tables"),
    Situation({"MYSQL_PWD": "secret"}, "the password of MySQL's root"),
    Situation({"MYSQL_UNIX_PORT": NOWHERE, "MYSQL_HOME": NOWHERE}, "MySQL's socket and option files"),
    Situation({"MYSQL_GROUP_SUFFIX": "_x", "MYSQL_TEST_LOGIN_FILE": NOWHERE}, "groups of options, login paths"),
    Situation({"LIBMYSQL_PLUGINS": "nowhere"}, "plugins of the mysql client"),
    Situation({"UMASK": "0777", "UMASK_DIR": "0777"}, "the modes of MySQL's files"),
    Situation({"NOTIFY_SOCKET": NOWHERE, "LISTEN_FDS": "1", "LISTEN_PID": "1"}, "systemd's sockets"),
    Situation({"LOG_LEVEL": "debug"}, "the log level of the instances, in words that they refuse"),
    Situation({"DB_PORT": "tcp://10.0.0.1:3306", "DB_SERVICE_HOST": "10.0.0.1"}, "Kubernetes: a service named db"),
    Situation({"DB_HOST": "10.0.0.1", "DB_USER": "x", "DB_NAME": "x", "DB_PASSWORD": "x"}, "another application's"),
    Situation({"DB_SOCKET_FILE": NOWHERE, "WORKERS": "many", "LISTEN_FILE": NOWHERE}, "files of settings"),
    Situation({"DB_TIMEOUT": "0", "SHUTDOWN_TIMEOUT": "0"}, "time limits of another application"),
    Situation({"NGINX": "3;4;"}, "the sockets that nginx takes over"),
    Situation(
        {"BASH_ENV": NOWHERE, "ENV": NOWHERE, "SHELLOPTS": "noexec", "BASH_FUNC_stat%%": "() { exit 3; }"}, "bash"
    ),
    Situation({"LD_PRELOAD": "nowhere.so"}, "a library in each program"),
    Situation({"GLIBC_TUNABLES": "glibc.malloc.check=3", "MALLOC_ARENA_MAX": "1"}, "the allocator"),
    Situation({"OPENSSL_CONF": NOWHERE, "OPENSSL_MODULES": NOWHERE}, "OpenSSL in Python, nginx and MySQL"),
    Situation({"PYTHONSTARTUP": NOWHERE, "PYTHONBREAKPOINT": "0", "PYTHONHASHSEED": "1"}, "Python"),
    Situation({"PYTHONOPTIMIZE": "2", "PYTHONDEVMODE": "1", "PYTHONMALLOC": "debug"}, "Python"),
    Situation({"http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "socks5://127.0.0.1:1"}, "the way to localhost"),
    Situation({"LC_ALL": "none", "LANG": "x", "LANGUAGE": "x", "TZ": "Mars/Phobos"}, "languages, and the time in logs"),
    Situation({"COMPOSE_FILE": NOWHERE, "GIT_DIR": NOWHERE, "APT_CONFIG": NOWHERE}, "compose, git, apt"),
    Situation({"PIP_USER": "1", "PIP_TARGET": NOWHERE, "PIP_REQUIRE_VIRTUALENV": "1"}, "where pip installs"),
    Situation({"JAVA_TOOL_OPTIONS": "-Xmx1m", "_JAVA_OPTIONS": "-Xmx1m", "JDK_JAVA_OPTIONS": "-Xmx1m"}, "Java"),
)
ALL = {name: value for situation in SITUATIONS for name, value in situation.variables.items()}
# Without Python's variables, which ./rinha unsets, and without LD_PRELOAD, of which the tests' interpreter complains.
UNHEARD = {name: value for name, value in ALL.items() if name != "LD_PRELOAD" and not name.startswith("PYTHON")}


# Files of the person. The login path, which mysql_config_editor has written, names another server: 10.255.255.1.
LOGIN_PATH = (
    "AAAAABYZHB8CFBcbBAwYEwMLCR4UAxwMEAAAAOURk42KMOCuJ3Bv+sk3QxQgAAAA1SFr/S6QQIKqyBzggtuKjLTg1uUGZ89Qm2L4IzzEHYkgAAAA"
    "xIU78pc2yEk4EOQjLJR3gT1x59/RMxiSeh9rST2F8JU="
)
FILES = {
    ".mylogin.cnf": base64.b64decode(LOGIN_PATH),
    ".my.cnf": b"[client]\nhost = 10.255.255.1\n[mysqld]\nport = none\n",
    ".bashrc": b"exit 3\n",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a home directory with the files, and with the downloads of the real one."""
    home = tmp_path_factory.mktemp("home")
    for name, content in FILES.items():
        (home / name).write_bytes(content)
        (home / name).chmod(0o600)  # otherwise MySQL ignores a login path
    (home / ".cache").symlink_to(Path.home() / ".cache")
    return str(home)


@pytest.fixture(scope="module")
def surrounded(tmp_path_factory: pytest.TempPathFactory, home: str) -> Iterator[RunningStack]:
    """Yield a stack that was started with all variables and files, on the tables that it has made itself."""
    stack = RunningStack(free_port(), tmp_path_factory.mktemp("surrounded"))
    try:
        started = run(stack, "up", "--detach", *SMALL, HOME=home)
        assert started.returncode == 0, started.stdout + started.stderr
        yield stack
    finally:
        run(stack, "down")


def run(stack: RunningStack, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a stack, with all variables and more."""
    return subprocess.run(
        ops_command(*arguments, *stack.options),
        env={**ops_environment(), **UNHEARD, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_stack_serves_whatever_is_exported(surrounded: RunningStack, home: str) -> None:
    assert create_person(surrounded.wire).status == 201
    assert failed_checks(surrounded, "--all") == []
    statement = run(surrounded, "sql", "-e", "SELECT @@datadir", HOME=home)
    assert statement.stdout.splitlines()[1:] == [f"{surrounded.data}/mysql/"], statement.stderr
    assert run(surrounded, "seed", "10").returncode == 0
    assert run(surrounded, "explain", "ana").returncode == 0


def test_no_component_has_a_variable_that_is_not_listed(surrounded: RunningStack) -> None:
    settings = {"LISTEN", "METRICS_LISTEN", "WORKERS", "DB_SOCKET", "DB_PASSWORD_FILE", "PYTHONPATH"}
    for name, component in surrounded.state.components.items():
        lines = Path(f"/proc/{component.pid}/environ").read_bytes().decode().split("\0")[:-1]
        variables = dict(line.split("=", 1) for line in lines if "=" in line)  # nginx writes its title there
        allowed = {"PATH", "LC_ALL"} | ({*settings, *environment.PYTHON} if name.startswith("api") else set())
        assert variables.keys() <= allowed | {"COVERAGE_PROCESS_CONFIG"}, name
        assert {key for key in ALL if variables.get(key) == ALL[key]} == set(), name


def test_a_command_reaches_this_machine_past_a_proxy(surrounded: RunningStack) -> None:
    """A proxy does not know this machine's localhost. Of other addresses it stays in charge."""
    for host in ("localhost", "127.0.0.1", "LOCALHOST"):
        command = ops_command(
            "create", new_nickname(), "Ana", "2000-01-01", "--url", f"http://{host}:{surrounded.port}"
        )
        completed = subprocess.run(command, env={**ops_environment(), **UNHEARD}, capture_output=True, text=True)
        assert completed.returncode == 0, completed.stderr
    refused = subprocess.run(
        ops_command("count", "--url", "http://rinha.example"),
        env={**ops_environment(), "http_proxy": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
    )
    check_refused(refused, "Connection refused")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"RINHA_LOG_LEVEL": "debug"}, "api1 refuses its settings: service: LOG_LEVEL is not DEBUG"),
        pytest.param(
            {"RINHA_DB_TIMEOUT": "soon"},
            "api1 refuses its settings: service: DB_TIMEOUT is not a number: soon",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"RINHA_SHUTDOWN_TIMEOUT": "0"},
            "api1 refuses its settings: service: SHUTDOWN_TIMEOUT is not between",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_setting_that_an_instance_refuses_ends_up_at_once(
    tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    stack = RunningStack(free_port(), tmp_path)
    stack.copy_new_database()

    started = run(stack, "up", *SMALL, **variables)

    check_refused(started, words)
    assert "starting it again" not in started.stdout


def test_the_settings_that_the_person_may_choose_reach_the_instances(
    surrounded: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in environment.SERVICE_SETTINGS:
        monkeypatch.setenv(name, "no")
        monkeypatch.setenv(f"RINHA_{name}", "5")

    variables = environment.of_service(WORKERS="1")

    assert {name: variables[name] for name in environment.SERVICE_SETTINGS} == dict.fromkeys(
        environment.SERVICE_SETTINGS, "5"
    )
    assert variables["WORKERS"] == "1"


# Of pip's options, those of the network are the person's; those that say where and what to install are not.
PIP_FILE = """
[global]
user = true
index-url = http://global.example/simple
timeout = 7
[install]
target = /nowhere
no-binary = :all:
index-url = http://install.example/simple
extra-index-url =
    http://one.example/simple
    http://two.example/simple
"""


@pytest.mark.parametrize("place", ["HOME", "XDG_CONFIG_HOME", "PIP_CONFIG_FILE"])
def test_of_pips_settings_only_those_of_the_network_apply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    paths = {"HOME": ".config/pip/pip.conf", "XDG_CONFIG_HOME": "pip/pip.conf", "PIP_CONFIG_FILE": "pip.conf"}
    file = tmp_path / paths[place]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PIP_FILE)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv(place, str(file if place == "PIP_CONFIG_FILE" else tmp_path))
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_TIMEOUT", "9")

    pip = {name: value for name, value in environment.of_pip(sys.executable).items() if name.startswith("PIP_")}

    assert pip == {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "http://install.example/simple",
        "PIP_EXTRA_INDEX_URL": "\nhttp://one.example/simple\nhttp://two.example/simple",
        "PIP_TIMEOUT": "9",
    }


def test_packages_are_installed_where_rinha_wants_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `user`, `target` or `require-virtualenv`, pip would refuse, or install elsewhere."""
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")
    monkeypatch.setenv("PIP_PREFIX", NOWHERE)
    monkeypatch.setenv("PYTHONHOME", NOWHERE)
    package = tmp_path / "package"
    package.mkdir()
    (package / "six_of_one-1.0-py3-none-any.whl").write_bytes(wheel())
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], env=environment.listed(), check=True
    )
    pip = [
        base_python(),
        "-m",
        "pip",
        "--python",
        str(tmp_path / "venv/bin/python"),
        "install",
        "--quiet",
        "--no-index",
    ]

    status = debian.run_where_bjoern_builds([*pip, "--find-links", str(package), "six_of_one"], print)

    assert status == 0
    assert list(tmp_path.glob("venv/lib/*/site-packages/six_of_one.py"))


def base_python() -> str:
    """Return an interpreter that has pip."""
    return str(getattr(sys, "_base_executable", sys.executable))


def wheel() -> bytes:
    """Return a package with one module."""
    info = "six_of_one-1.0.dist-info"
    files = {
        "six_of_one.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: six-of-one\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        for name, text in files.items():
            written.writestr(name, text)
    return archive.getvalue()


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONHOME": NOWHERE}, {"PYTHONPATH": NOWHERE, "PYTHONINSPECT": "1"}, {"PYTHONWARNINGS": "error"},
        {"PYTHONOPTIMIZE": "2"}, {"PYTHONUTF8": "0"}, {"PYTHON_GIL": "0"}, {"CDPATH": "/:/usr:/tmp"},
    ],
    ids=str,
)  # fmt: skip
def test_the_script_passes_no_variable_of_python(tmp_path: Path, variables: dict[str, str]) -> None:
    """The directory of the script is found by a relative path too, whatever CDPATH says."""
    checkout = tmp_path / "lib"  # which /usr has too
    # The script first asks with -I whether this Python is that of .venv.
    print_variables = (
        f'[ "$1" != -I ] || exit 0; exec {sys.executable} -E -c "import json, os; print(json.dumps(dict(os.environ)))"'
    )
    make_program(checkout / ".venv/bin/python", print_variables)
    shutil.copy(ROOT / "rinha", checkout)
    for file in ROOT.glob("requirements*.txt"):
        shutil.copy(file, checkout)
        shutil.copy(file, checkout / ".venv")

    completed = subprocess.run(
        ["lib/rinha", "status"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
    )

    passed = {name: value for name, value in json.loads(completed.stdout).items() if name.startswith("PYTHON")}
    assert passed == {"PYTHONPATH": str(checkout)}


STARTERS = {"run", "Popen", "call", "check_call", "check_output", "execve", "execv", "execvp", "spawnv", "system"}


def starts(path: Path) -> Iterator[ast.Call]:
    """Yield the calls in a module that start a process."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("subprocess", "os")
            and node.func.attr in STARTERS
        ):
            yield node


def test_every_process_gets_an_environment() -> None:
    """A process without one would inherit the person's."""
    modules = [path for package in ("ops", "bench") for path in (ROOT / package).rglob("*.py")]
    calls = [(path, call) for path in modules for call in starts(path)]
    without = [
        f"{path}:{call.lineno}"
        for path, call in calls
        if ast.unparse(call.func) != "os.execve" and "env" not in {keyword.arg for keyword in call.keywords}
    ]

    assert len(calls) > 10
    assert without == []
