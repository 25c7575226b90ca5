"""A MySQL server of our own: found or unpacked, initialised, and the words that start it."""

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

from ops import ROOT
from ops.errors import OperatorError
from ops.stack.data_directory import Folder
from ops.system.debian import with_dependencies
from ops.system.processes import end_with_parent

HERE = ROOT / "db"
SCHEMA = HERE / "schema.sql"
SPARE_CONNECTIONS = 8  # of an account, beside one for each worker: max_user_connections in my.cnf
OLDEST = (8, 4)  # what the settings in my.cnf are written for


class Programs(NamedTuple):
    """The words that start the server and the client, and the options that tell the server where its files are."""

    mysqld: list[str]
    mysql: list[str]
    options: list[str]


def find(report: Callable[[str], None]) -> Programs:
    """Return the host's MySQL if it is one and recent enough, else Debian's, unpacked to a prefix.

    MariaDB does not count: it has no ngram parser. Raises OperatorError.
    """
    mysqld, mysql = shutil.which("mysqld", path=_search_path()), shutil.which("mysql", path=_search_path())
    if mysqld and mysql:
        version = subprocess.run([mysqld, "--no-defaults", "--version"], capture_output=True, text=True).stdout
        number = re.search(r"Ver (\d+)\.(\d+)", version)
        if number and "MariaDB" not in version and tuple(map(int, number.groups())) >= OLDEST:
            return Programs([mysqld], [mysql], [])
    prefix = with_dependencies(["mysql-server-core", "mysql-client-core"], report)
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
    """Return a connection of MySQL's root, each statement a transaction; raise pymysql.MySQLError."""
    return pymysql.connect(
        unix_socket=str(socket), user="root", charset="utf8mb4", autocommit=True, ssl_disabled=True, **options
    )


class Database:
    """A data folder, its server's socket, and the password of the service's account."""

    def __init__(self, programs: Programs, folder: Path, socket: Path, log: Path) -> None:
        self.socket = socket
        self.password_file = folder / "db_password"
        self._programs = programs
        self._folder = folder
        self._data = folder / "mysql"
        self._log = log

    @classmethod
    def of(cls, folder: Folder, report: Callable[[str], None]) -> "Database":
        """Return the database of a data folder."""
        return cls(find(report), folder.path, folder.run / "mysql.sock", folder.log / "mysql.log")

    def command(self, workers: int = 8) -> list[str]:
        """Return the words that start the server in the foreground, for so many processes of the service."""
        return [
            *self._programs.mysqld,
            f"--defaults-file={HERE / 'my.cnf'}",  # must be the first option
            *self._programs.options,
            f"--datadir={self._data}",
            f"--socket={self.socket}",
            f"--pid-file={self.socket.with_suffix('.pid')}",
            f"--log-error={self._log}",
            f"--init-file={HERE / 'start.sql'}",
            f"--max-user-connections={workers + SPARE_CONNECTIONS}",
            "--skip-networking",  # everybody who needs it is on this host
            *(["--user=root"] if os.geteuid() == 0 else []),
        ]

    def client(self) -> list[str]:
        """Return the words that start the mysql client on the running server, as its root."""
        return [*self._programs.mysql, "--no-defaults", f"--socket={self.socket}", "--user=root"]

    def initialise(self, report: Callable[[str], None]) -> None:
        """Make the system tables, if that has not been done; raise OperatorError."""
        if (self._data / "mysql.ibd").exists() and not self._marker.exists():
            return
        report("initialising the database")
        shutil.rmtree(self._data, ignore_errors=True)  # what a killed initialisation left
        self._data.mkdir(parents=True)
        self._marker.touch()
        done = subprocess.run(
            [*self.command(), "--initialize-insecure"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            preexec_fn=lambda: end_with_parent(signal.SIGKILL),
        )
        if done.returncode:
            raise OperatorError(f"mysqld --initialize failed; see {self._log}")

    def forget_killed(self) -> None:
        """Remove the lock of a server that was killed, when none runs on the folder.

        A new one would not start while any process has the id in it: the killed one, not yet
        cleared away, or a stranger that has the id now.
        """
        self.socket.with_name(f"{self.socket.name}.lock").unlink(missing_ok=True)

    def prepare(self, is_alive: Callable[[], bool], report: Callable[[str], None] = lambda line: None) -> None:
        """Wait for the running server; create the tables and the account, or bring the tables up to date.

        Raises OperatorError if the server has ended, or does not answer within a minute.
        """
        deadline = time.monotonic() + 60
        while (said := self._sql("SELECT 1")).returncode:
            if time.monotonic() > deadline or not is_alive():
                raise OperatorError(f"mysqld does not answer: {said.stderr.strip()}; see {self._log}")
            time.sleep(0.1)
        if not self._marker.exists():
            self._upgrade(is_alive, report)
            return
        if not self.password_file.exists():
            self.password_file.touch(mode=0o600)
            self.password_file.write_text(secrets.token_hex(16))
        account = f"SET @password = '{self.password_file.read_text()}';\n{(HERE / 'account.sql').read_text()}"
        said = self._sql(f"CREATE DATABASE IF NOT EXISTS rinha; USE rinha;\n{SCHEMA.read_text()}{account}")
        if said.returncode:
            raise OperatorError(f"the schema cannot be created: {said.stderr.strip()}")
        self._marker.unlink()

    def _upgrade(self, is_alive: Callable[[], bool], report: Callable[[str], None]) -> None:
        """Bring the data of an older release to this one's schema; raise OperatorError."""
        log = self._log.with_name("upgrade.log")
        with log.open("wb") as output:
            upgrade = subprocess.Popen(
                ["bash", str(HERE / "upgrade.sh"), str(SCHEMA), *self.client()],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=_with_parent_and_signals,  # noqa: PLW1509
            )  # fmt: skip
        line = ""
        with log.open() as said:
            try:
                while upgrade.poll() is None and is_alive():  # which ends this if the operator asks for it
                    for line in said:
                        report(line.strip())
                    time.sleep(0.1)
            finally:
                upgrade.kill()
                upgrade.wait()
            for line in said:
                report(line.strip())
        if upgrade.returncode:
            raise OperatorError(f"the schema cannot be brought up to date: {line.strip()}; see {log}")

    def reserve_command(self) -> list[str]:
        """Return the words that keep a reserve of disk beside the running server."""
        mark = self._folder / "index.suspect"
        return ["bash", str(HERE / "reserve.sh"), str(self._folder), str(mark), *self.client()]

    @property
    def _marker(self) -> Path:
        """Exists from before the initialisation until the account is there: a kill in between starts over."""
        return self._folder / "mysql.unfinished"

    def _sql(self, statements: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.client(), input=statements, capture_output=True, text=True)


def _with_parent_and_signals() -> None:
    """Make a process, just forked, end with its parent, and heed the signals that the parent waits for."""
    end_with_parent(signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _search_path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
