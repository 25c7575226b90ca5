"""Waits for a MySQL that restarts, for commands that need MySQL."""

import time

import pymysql
from pymysql.constants import CR, ER

from ops.console import Progress, ignore_progress
from ops.errors import OperatorError
from ops.stack.data_directory import DataDirectory
from ops.stack.mysql import connect_as_root

WAIT_TIMEOUT = 60.0  # seconds; MySQL reads its redo log again after a crash
ANSWER_TIMEOUT = 2  # seconds, of one attempt
STATEMENT_TIMEOUT = 120  # seconds for which MySQL may be silent during the statement of a command
_AWAY = {
    0,  # PyMySQL: the connection was broken before this statement
    CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST,
    ER.SERVER_SHUTDOWN, ER.QUERY_INTERRUPTED,
}  # fmt: skip


def is_away(error: pymysql.MySQLError) -> bool:
    """Return whether an error means that MySQL has stopped, or that it does not answer yet."""
    return error.args[0] in _AWAY if error.args else False


def wait_for_mysql(
    directory: DataDirectory, progress: Progress = ignore_progress, timeout: float = WAIT_TIMEOUT
) -> None:
    """Return once the MySQL of a running stack answers.

    Raises OperatorError if MySQL does not answer within `timeout` seconds, or if the stack stops.
    """
    deadline = time.monotonic() + timeout
    is_shown = False
    while reason := reason_for_silence(directory):
        directory.running()
        if not is_shown:
            progress("waiting for MySQL")
            is_shown = True
        if time.monotonic() > deadline:
            progress("")
            raise OperatorError(
                f"MySQL does not answer: {reason}; ./rinha up restarts it, see {directory.log}/mysql.log"
            )
        time.sleep(0.2)


def reason_for_silence(directory: DataDirectory) -> str:
    """Return why MySQL does not answer, or "" if it answers."""
    try:
        with connect_as_root(
            directory.mysql_socket, connect_timeout=ANSWER_TIMEOUT, read_timeout=ANSWER_TIMEOUT
        ) as connection:
            connection.ping()
    except pymysql.MySQLError as error:
        return str(error.args[-1])
    return ""
