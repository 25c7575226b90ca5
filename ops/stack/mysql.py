"""The stack's MySQL server: its programs, its data, its schema."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from ops import ROOT, environment
from ops.console import Progress, ignore_progress
from ops.errors import OperatorError
from ops.stack.capacity import Capacity
from ops.stack.data_directory import DataDirectory
from ops.system.debian import install
from ops.system.processes import end_with_parent

CONFIGURATION = ROOT / "db"
SCHEMA = CONFIGURATION / "schema.sql"
OLDEST_VERSION = (8, 4)  # for which my.cnf is written
START_TIMEOUT = 60.0  # seconds


class Programs(NamedTuple):
    """The command lines of server and client, and the options that tell an unpacked server where its files are."""

    mysqld: list[str]
    mysql: list[str]
    options: list[str]


def find_programs(progress: Progress) -> Programs:
    """Return the host's MySQL if it is recent enough, otherwise Debian's, unpacked into a prefix.

    MariaDB has no ngram parser, so it does not count. Raises OperatorError.
    """
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    mysqld, mysql = shutil.which("mysqld", path=path), shutil.which("mysql", path=path)
    if mysqld and mysql:
        command = [mysqld, "--no-defaults", "--version"]
        version = subprocess.run(command, env=environment.listed(), capture_output=True, text=True).stdout
        number = re.search(r"Ver (\d+)\.(\d+)", version)
        if number and "MariaDB" not in version and tuple(map(int, number.groups())) >= OLDEST_VERSION:
            return Programs([mysqld], [mysql], [])
    prefix = install(["mysql-server-core", "mysql-client-core"], progress)
    share = prefix.path / "usr/share/mysql"
    return Programs(
        prefix.command("usr/sbin/mysqld"),
        prefix.command("usr/bin/mysql"),
        [
            f"--basedir={prefix.path}/usr",
            f"--lc-messages-dir={share}",
            f"--character-sets-dir={share}/charsets",
            f"--plugin-dir={prefix.path}/usr/lib/mysql/plugin",
        ],
    )


def connect_as_root(socket: Path, **options: Any) -> "Connection[Cursor]":
    """Return a connection of MySQL's root, on which each statement is a transaction; raise pymysql.MySQLError."""
    return pymysql.connect(
        unix_socket=str(socket), user="root", charset="utf8mb4", autocommit=True, ssl_disabled=True, **options
    )


class MySQLServer:
    """The MySQL server of a data directory."""

    def __init__(self, directory: DataDirectory, progress: Progress = ignore_progress, name: str = "mysql") -> None:
        """Find the programs, which may have to be downloaded; raise OperatorError. The log is `name`.log."""
        self._directory = directory
        self._programs = find_programs(progress)
        self._data = directory.path / "mysql"
        self._log = directory.log / f"{name}.log"
        self._logged = self._log.stat().st_size if self._log.exists() else 0  # bytes, by earlier servers
        # A copy: MySQL ignores the file of a checkout that all users may write.
        self._settings = directory.path / "my.cnf"
        # Exists from before the initialisation until the account exists: after a kill in between, `up` starts over.
        self._unfinished = directory.path / "mysql.unfinished"

    def command(self, capacity: Capacity | None = None) -> list[str]:
        """Return the server's command line; without `capacity`, my.cnf limits the connections."""
        return [
            *self._programs.mysqld,
            f"--defaults-file={self._settings}",  # must be the first option
            *self._programs.options,
            f"--datadir={self._data}",
            f"--socket={self._directory.mysql_socket}",
            f"--pid-file={self._directory.mysql_socket.with_suffix('.pid')}",
            f"--log-error={self._log}",
            f"--tmpdir={self._directory.temporary}",
            f"--init-file={CONFIGURATION / 'start.sql'}",
            *_connection_options(capacity),
            "--skip-networking",  # all clients are on this host
            *(["--user=root"] if os.geteuid() == 0 else []),
        ]

    def client_command(self) -> list[str]:
        """Return the command line of the mysql client, as MySQL's root."""
        return [*self.client_without_socket(), f"--socket={self._directory.mysql_socket}"]

    def client_without_socket(self) -> list[str]:
        """Return the command line of the mysql client, as MySQL's root, to which the option --socket must be added.

        Neither option files nor login paths apply, and a variable of MySQL is overridden.
        """
        address = ["--protocol=SOCKET", "--host=localhost"]
        return [*self._programs.mysql, "--no-defaults", "--no-login-paths", *address, "--user=root"]

    def operator_command(self) -> list[str]:
        """Return the command line of the mysql client for statements of a person, who may use its own commands.

        MySQL 9.7 has turned these commands off, \\G among them. They stay off for files, which may be of others.
        """
        command = [*self._programs.mysql, "--no-defaults", "--help"]
        options = subprocess.run(command, env=environment.listed(), capture_output=True, text=True)
        has_option = re.search(r"^ +--commands\b", options.stdout, re.MULTILINE)
        return [*self.client_command(), *(["--commands"] if has_option else [])]

    def execute(self, statements: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Give statements to the mysql client, as MySQL's root."""
        return subprocess.run(
            [*self.client_command(), *options],
            env=environment.listed(),
            input=statements,
            capture_output=True,
            text=True,
            pass_fds=self._directory.inherited,
        )

    def reserve_command(self) -> list[str]:
        """Return the command line that keeps a reserve of disk for the running server."""
        return reserve_command(self._directory, self.client_command())

    def initialise(self, progress: Progress) -> None:
        """Copy the settings, and create the system tables unless they exist; raise OperatorError."""
        self._settings.unlink(missing_ok=True)
        self._settings.touch(mode=0o600)
        self._settings.write_text((CONFIGURATION / "my.cnf").read_text())
        if (self._data / "mysql.ibd").exists() and not self._unfinished.exists():
            return
        progress("initialising the database")
        shutil.rmtree(self._data, ignore_errors=True)  # the remains of a killed initialisation
        self._data.mkdir(parents=True)
        self._unfinished.touch()
        completed = subprocess.run(
            [*self.command(), "--initialize-insecure"],
            env=environment.listed(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=self._directory.inherited,
            preexec_fn=lambda: end_with_parent(signal.SIGKILL),
        )
        if completed.returncode:
            raise OperatorError(f"mysqld --initialize failed; see {self._log}")

    def remove_stale_lock(self) -> None:
        """Remove the lock of the socket; call this only while no server runs on the data directory.

        A new server would not start while any process has the id in the lock: the killed server, if the kernel has
        not removed it yet, or another process that has the id now.
        """
        socket = self._directory.mysql_socket
        socket.with_name(f"{socket.name}.lock").unlink(missing_ok=True)

    def prepare(self, is_alive: Callable[[], bool], progress: Progress = ignore_progress) -> None:
        """Wait for the running server; create tables and account, or upgrade the tables of an older release.

        Raises OperatorError if the server ends, or does not answer within `START_TIMEOUT` seconds.
        """
        deadline = time.monotonic() + START_TIMEOUT
        while (completed := self.execute("SELECT 1")).returncode:
            if time.monotonic() > deadline or not is_alive():
                reason = self._last_error() or completed.stderr.strip()
                raise OperatorError(f"mysqld does not answer: {reason}; see {self._log}")
            time.sleep(0.1)
        if self.execute("SELECT @@offline_mode", "-N").stdout != "0\n":  # by start.sql
            raise OperatorError(f"MySQL does not have the settings of db/my.cnf; see {self._log}")
        if not self._unfinished.exists():
            self._upgrade(is_alive, progress)
            return
        password_file = self._directory.password_file
        if not password_file.exists():
            password_file.touch(mode=0o600)
            password_file.write_text(secrets.token_hex(16))
        account = f"SET @password = '{password_file.read_text()}';\n{(CONFIGURATION / 'account.sql').read_text()}"
        completed = self.execute(f"CREATE DATABASE IF NOT EXISTS rinha; USE rinha;\n{SCHEMA.read_text()}{account}")
        if completed.returncode:
            raise OperatorError(f"the schema cannot be created: {completed.stderr.strip()}")
        self._unfinished.unlink()

    def _last_error(self) -> str:
        """Return the last error that this server has logged, "" without any."""
        log = self._log.read_bytes()[self._logged :] if self._log.exists() else b""
        lines = log.decode(errors="replace").splitlines()
        errors = [line.partition("[ERROR]")[2].strip() for line in lines if "[ERROR]" in line]
        return errors[-1] if errors else ""

    def _upgrade(self, is_alive: Callable[[], bool], progress: Progress) -> None:
        """Bring the tables of an older release to the schema of this one; raise OperatorError."""
        log = self._log.with_name("upgrade.log")
        with log.open("wb") as output:
            upgrade = subprocess.Popen(
                ["bash", str(CONFIGURATION / "upgrade.sh"), str(SCHEMA), *self.client_command()],
                env=environment.listed(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=self._directory.inherited,
                preexec_fn=_end_with_parent_and_unblock_signals,  # noqa: PLW1509 - this process has one thread
            )
        line = ""
        with log.open() as output:
            try:
                while upgrade.poll() is None and is_alive():  # is_alive raises if the operator stops the stack
                    for line in output:
                        progress(line.strip())
                    time.sleep(0.1)
            finally:
                upgrade.kill()
                upgrade.wait()
            for line in output:
                progress(line.strip())
        if upgrade.returncode:
            raise OperatorError(f"the schema cannot be brought up to date: {line.strip()}; see {log}")


def reserve_command(directory: DataDirectory, client: list[str]) -> list[str]:
    """Return the command line that keeps a reserve of disk for each server; the client reaches the one that writes."""
    servers = [str(member.path) for member in directory.members]
    mark = str(directory.path / "index.suspect")
    return ["bash", str(CONFIGURATION / "reserve.sh"), mark, *servers, "--", *client]


def _connection_options(capacity: Capacity | None) -> list[str]:
    if not capacity:
        return []
    return [
        f"--max-connections={capacity.connections}",
        f"--max-user-connections={capacity.user_connections}",
        f"--open-files-limit={capacity.open_files}",
    ]


def _end_with_parent_and_unblock_signals() -> None:
    end_with_parent(signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
