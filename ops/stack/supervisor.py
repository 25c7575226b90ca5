"""Runs the stack: starts MySQL, the API instances and nginx, restarts what dies, and stops them in order."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from ops import environment
from ops.console import Progress, show
from ops.errors import OperatorError
from ops.stack import nginx
from ops.stack.capacity import limit_open_files, plan_capacity
from ops.stack.component import STOP_TIMEOUT, SUPERVISOR_SIGNALS, Component
from ops.stack.data_directory import (
    DataDirectory,
    RunningComponent,
    State,
    instance_names,
    metrics_socket,
    worker_sockets,
)
from ops.stack.group import MySQLGroup
from ops.stack.logs import Logs
from ops.stack.mysql import MySQLServer
from ops.system.cgroups import ControlGroups, Limit
from ops.system.ports import check_port, is_stack_serving
from ops.system.processes import kill_group, members, started_at, usage
from ops.terminal import is_screen
from service.logs import OutputFile
from service.probe import LIVE, is_serving, why_not_ready
from service.signals import wait_for_signal

# The exit status with which a component refuses its settings, so that another start is of no use.
REFUSALS = {"nginx": 1}
REFUSAL = 2  # of the others
START_TIMEOUT = 30.0  # seconds until the API answers, after MySQL does


class _Stopped(Exception):
    """The operator has asked the stack to stop."""


class StackPlan(NamedTuple):
    """A stack to start: its port, its size, the bytes of all its logs together, and the limits of its components.

    With a `metrics_port`, the stack answers Prometheus on this port of the loopback interface. With `log_terms`, nginx
    logs search terms and names.
    """

    port: int
    instances: int
    workers: int
    log_limit: int
    limits: Mapping[str, Limit] | None = None
    metrics_port: int | None = None
    log_terms: bool = False


class StackSupervisor:
    """Supervises the components of the stack on one data directory and one port."""

    def __init__(self, directory: DataDirectory, plan: StackPlan) -> None:
        """Raise OperatorError if the machine, or a limit, is too small for so many workers."""
        self._directory = directory
        self._port = plan.port
        self._instances = plan.instances
        self._workers = plan.workers
        self._logs = Logs(directory.log, plan.log_limit)
        self._output = OutputFile()
        self._limits = plan.limits
        self._capacity = plan_capacity(plan.instances, plan.workers, plan.limits)
        self._metrics_port = plan.metrics_port
        self._log_terms = plan.log_terms
        self._groups = ControlGroups(os.getpid()) if plan.limits else None
        self._components: list[Component] = []
        self._since = time.time()
        self._ready = False
        self._state_is_written = False

    def run(self, progress: Progress) -> None:
        """Start the stack and supervise it until SIGTERM or SIGINT; raise OperatorError if it does not start."""
        # With SIGTTOU, a terminal would stop this process whenever it prints from the background (stty tostop).
        signal.pthread_sigmask(signal.SIG_BLOCK, {*SUPERVISOR_SIGNALS, signal.SIGTTOU})
        os.chdir(self._directory.path)  # the directory in which `up` was called may be removed
        try:
            self._start(progress)
            progress("")
            address = f"http://localhost:{self._port}"
            show(f"listening on {address}; ./rinha down stops it, {self._directory.path} keeps the data")
            show(f"page: {address}/   API browser: {address}/docs")
            if self._metrics_port:
                show(f"metrics on http://localhost:{self._metrics_port}/metrics/api1")
            self._supervise(progress)
        except _Stopped:
            pass
        finally:
            progress("stopping")
            # From the outside in, so that no component depends on a stopped one.
            for component in reversed(self._components):
                component.stop(signal.SIGQUIT if component.name == "nginx" else signal.SIGTERM)
            if self._groups:
                self._groups.remove()
            self._directory.remove_state()
            progress("")
        show("stopped")

    def _start(self, progress: Progress) -> None:
        _end_leftovers(self._directory)
        self._directory.remove_state()
        for port in filter(None, (self._port, self._metrics_port)):
            check_port(port)
        limit_open_files(self._capacity.open_files)
        if self._groups and self._limits:
            self._groups.make(self._limits)
        is_group = len(self._directory.members) > 1
        mysql = MySQLGroup(self._directory, progress) if is_group else MySQLServer(self._directory, progress)
        nginx_program = nginx.find_program(progress)
        _raise_if_stopped()
        if isinstance(mysql, MySQLGroup):
            self._start_group(mysql, progress)
        else:
            self._start_mysql(mysql, progress)
        for instance in instance_names(self._instances):
            self._start_instance(instance)
        self._start_nginx(nginx_program)
        self._wait_until_serving(progress)
        if self._groups:
            self._groups.join("up")
        self._ready = True
        self._supervise_once()
        self._write_state()

    def _start_group(self, group: MySQLGroup, progress: Progress) -> None:
        group.initialise(progress)
        progress("starting the members of the MySQL group")
        for name, command in group.commands(self._capacity):
            component = self._add(name, command, control_group="mysql")
            component.files = [group.socket(name)]
        self._add("group", group.keeper_command(), control_group="mysql", has_log=False)

        def is_starting() -> bool:
            _raise_if_stopped()
            self._supervise_once()
            return True

        group.wait(is_starting)
        self._add("reserve", group.reserve_command(), control_group="mysql", has_log=False)

    def _start_mysql(self, mysql: MySQLServer, progress: Progress) -> None:
        mysql.remove_stale_lock()
        mysql.initialise(progress)
        progress("starting MySQL")
        component = self._add("mysql", mysql.command(self._capacity))
        component.files = [self._directory.mysql_socket]

        def is_starting() -> bool:
            _raise_if_stopped()
            return component.is_alive()

        mysql.prepare(is_starting, progress)
        # As in MySQL's container the reserve shares MySQL's limits. Its messages are for the operator.
        self._add("reserve", mysql.reserve_command(), control_group="mysql", has_log=False)

    def _start_instance(self, instance: str) -> None:
        variables = environment.of_service(
            LISTEN=f"unix:{self._directory.run}/{instance}.%.sock",
            WORKERS=str(self._workers),
            METRICS_LISTEN=f"unix:{metrics_socket(self._directory.run, instance)}" if self._metrics_port else "",
            DB_PASSWORD_FILE=str(self._directory.password_file),
            **{name.upper(): value for name, value in self._directory.database_settings.items()},
        )
        component = self._add(instance, [sys.executable, "-P", "-m", "service"], variables)
        component.files = worker_sockets(self._directory.run, instance, self._workers)

    def _start_nginx(self, program: Sequence[str]) -> None:
        run = self._directory.run
        names = instance_names(self._instances)
        sockets = [worker_sockets(run, instance, self._workers) for instance in names]
        metrics = ""
        if self._metrics_port:
            address = f"127.0.0.1:{self._metrics_port}"
            metrics = nginx.metrics_server(address, {name: metrics_socket(run, name) for name in names})
        configuration, log = run / "nginx", self._directory.reachable / "log"
        write = partial(
            nginx.write_configuration,
            configuration,
            self._port,
            sockets,
            log,
            self._capacity,
            metrics,
            log_terms=self._log_terms,
        )
        write()
        component = self._add("nginx", nginx.command(program, configuration, run, log))
        component.files = [run / name for name in nginx.DIRECTORIES]
        component.before_restart = write

    def _wait_until_serving(self, progress: Progress) -> None:
        progress("waiting for the API")
        deadline = time.monotonic() + START_TIMEOUT
        names = instance_names(self._instances)
        addresses = {name: f"unix:{worker_sockets(self._directory.run, name, 1)[0]}" for name in names}
        while not (is_stack_serving(self._port) and all(is_serving(one, LIVE) for one in addresses.values())):
            _raise_if_stopped()
            self._raise_if_refused()
            self._supervise_once()
            if time.monotonic() > deadline:
                raise OperatorError(f"the service does not answer on port {self._port}; see {self._directory.log}")
            time.sleep(0.05)
        for name, address in addresses.items():
            # The stack runs on: it answers reads by id, and the operator can repair it.
            if reason := why_not_ready(address):
                show(f"{name} is not ready: {reason}; ./rinha doctor says more")

    def _raise_if_refused(self) -> None:
        for component in self._components:
            if component.exit_status() == REFUSALS.get(component.name, REFUSAL):
                raise OperatorError(f"{component.name} refuses its settings: {component.last_words()}")

    def _add(
        self,
        name: str,
        command: Sequence[str],
        variables: Mapping[str, str] | None = None,
        *,
        control_group: str = "",
        has_log: bool = True,
    ) -> Component:
        """Start a component, in the control group of its own name unless another is given, and supervise it."""
        component = Component(
            name,
            command,
            variables or environment.listed(),
            self._directory.log / f"{name}.log" if has_log else None,
            partial(self._groups.join, control_group or name) if self._groups else lambda: None,
        )
        component.inherited = self._directory.inherited
        component.start()
        self._components.append(component)
        self._write_state()
        return component

    def _supervise(self, progress: Progress) -> None:
        while True:
            _raise_if_stopped(wait=1.0)
            self._supervise_once()
            if is_screen():
                progress(self._status_line())

    def _supervise_once(self) -> None:
        if not self._directory.path.exists():
            raise OperatorError(f"{self._directory.path} was moved or removed; ./rinha up starts it where it is now")
        with contextlib.suppress(OSError):
            self._directory.make()  # a directory in it may have been removed
        for component in self._components:
            component.end_without_files()
        if any([component.restart_if_dead() for component in self._components]):  # noqa: C419 - each is looked after
            self._state_is_written = False
        self._rotate_logs()
        if not self._state_is_written or self._directory.last_state() is None:
            with contextlib.suppress(OSError):  # a full disk must not stop the stack
                self._write_state()

    def _rotate_logs(self) -> None:
        with contextlib.suppress(OSError):  # a full disk must not stop the stack
            self._logs.rotate()
            self._output.reopen_if_renamed()
        for component in self._components:
            if not all((self._directory.log / log).exists() for log in _own_logs(component.name)):
                component.reopen_logs()

    def _status_line(self) -> str:
        used = [f"{one.name} {usage(one.process.pid).memory >> 20} MB" for one in self._components if one.process]
        restarts = sum(component.restarts for component in self._components)
        return f"up {time.time() - self._since:.0f} s, {', '.join(used)}, {restarts} restarts"

    def _write_state(self) -> None:
        components = {
            component.name: RunningComponent(
                component.process.pid, started_at(component.process.pid), component.restarts
            )
            for component in self._components
            if component.process
        }
        self._directory.write_state(
            State(os.getpid(), self._port, self._since, self._ready, self._instances, self._workers, components)
        )
        self._state_is_written = True


def _own_logs(name: str) -> Sequence[str]:
    """Return the logs that a component opens by itself."""
    if name == "nginx":
        return (nginx.ACCESS_LOG, nginx.ERROR_LOG)
    return (f"{name}.log",) if name.startswith("mysql") else ()


def _raise_if_stopped(wait: float = 0.0) -> None:
    """Raise _Stopped if the operator stops the stack within `wait` seconds; return early if a component ends."""
    arrived = wait_for_signal(SUPERVISOR_SIGNALS, wait)
    if arrived in (None, signal.SIGCHLD) or signal.getsignal(arrived) == signal.SIG_IGN:
        return  # nohup ignores SIGHUP
    if arrived == signal.SIGHUP:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the terminal is gone
    raise _Stopped


def _end_leftovers(directory: DataDirectory) -> None:
    """Wait for the components of a killed `up` to end, and kill those that do not."""
    state = directory.last_state()
    deadline = time.monotonic() + STOP_TIMEOUT
    for component in state.components.values() if state else ():
        if started_at(component.pid) not in (0, component.started_at):
            continue  # another process has the id now
        while members(component.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        kill_group(component.pid)
