"""Whatever is killed, stopped, restarted or full while clients write and read: nobody is lost or told something untrue.

A round is one fault at a random moment of a load through nginx, and the judgement of all that was
said. `--rounds N` makes each fault N times (the slow ones N/5 times) in an order told by `--seed`.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pymysql
import pytest

from ops import ROOT
from ops.stack.data_directory import DataDirectory, State
from ops.system.processes import kill_group, members
from service.person import Person
from tests.support.client import OverTheWire
from tests.support.history import Action, Event, Load, Verdict, judge
from tests.support.stack import RunningStack, free_port

pytestmark = pytest.mark.faults

WORKERS = [(instance, worker) for instance in ("api1", "api2") for worker in range(1, 5)]
AWAY = 2.0  # seconds in which a request is answered while MySQL is away, and in which it is served after
NOISE = 1.0  # seconds that the machine, with clients and servers on two cores, may add to a bound
LONG = 40.0  # seconds that only a failing test waits
MEGABYTE = 1 << 20


class Site:
    """A stack of its own, what can be done to it, and what is seen of it from outside."""

    def __init__(self, data: Path, root: Path = ROOT) -> None:
        self.stack = RunningStack(free_port(), data, root)
        self.pause = 3.0  # seconds that MySQL is stopped for
        self.idle = 0  # files that a worker has open when nothing goes on

    def up(self) -> None:
        said = self.stack.rinha("up", "--detach", timeout=100)
        assert said.returncode == 0, said.stdout + said.stderr

    def down(self) -> None:
        said = self.stack.rinha("down")
        assert said.returncode == 0, said.stderr

    @property
    def state(self) -> State:
        state = DataDirectory(self.stack.data).last_state()
        assert state
        return state

    def component(self, name: str) -> int:
        """Return the process that leads a component's group."""
        return self.state.components[name].pid

    def workers(self) -> dict[str, set[int]]:
        """Return the bjoern processes by instance."""
        return {name: {*members(self.component(name))} - {self.component(name)} for name in ("api1", "api2")}

    def do(self, statement: str) -> Any:
        """Return the rows of a statement of MySQL's root; raise MySQLError if MySQL does not answer."""
        connection = pymysql.connect(
            unix_socket=self.stack.config.db_socket, user="root", database="rinha", ssl_disabled=True,
            connect_timeout=2, read_timeout=20,
        )  # fmt: skip
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def rows(self, since: float = 0) -> list[Person]:
        """Return the people whose ids were made since a time, in seconds of the epoch; all of the primary key."""
        found = self.do(
            "SELECT id, apelido, nome, nascimento, stack FROM pessoas FORCE INDEX (PRIMARY) "
            f"WHERE id >= X'{int(since * 1000):012x}'"
        )
        return [Person(*row[:3], str(row[3]), row[4] if row[4] is None else row[4].split("\n")) for row in found]

    def await_mysql(self) -> None:
        """Return as soon as MySQL answers."""
        until(lambda: self.do("SELECT 1"))

    def await_service(self, seconds: float = LONG) -> None:
        """Return as soon as every worker says that it is ready; fail after `seconds`."""
        until(lambda: all(ready(self.stack.data / f"run/{name}.{number}.sock") for name, number in WORKERS), seconds)

    def files(self) -> int:
        """Return how many files, sockets included, the worker has open that has most."""
        return max(len(os.listdir(f"/proc/{pid}/fd")) for pids in self.workers().values() for pid in pids)

    def connections(self) -> int:
        """Return how many connections the service has to MySQL."""
        (found,) = self.do("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'rinha'")
        return int(found[0])


def until(condition: Callable[[], object], seconds: float = LONG) -> None:
    """Return as soon as `condition` is true; fail after `seconds`. What cannot be asked is not true."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(pymysql.MySQLError, OSError):
            if condition():
                return
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def ready(address: Path) -> bool:
    return OverTheWire(str(address), 5).ask("GET", "/health/ready").status == 200


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


# The faults


def kill_worker(site: Site, choose: random.Random) -> None:
    kill(choose.choice(sorted(set().union(*site.workers().values()))))


def kill_instance(site: Site, choose: random.Random) -> None:
    victim = site.component(choose.choice(["api1", "api2"]))
    kill_group(victim)
    until(lambda: victim not in [component.pid for component in site.state.components.values()])


def kill_nginx(site: Site, choose: random.Random) -> None:
    victim = site.component("nginx")
    kill_group(victim)
    until(lambda: site.component("nginx") != victim)


def kill_mysql(site: Site, choose: random.Random) -> None:
    workers, victim = site.workers(), site.component("mysql")
    kill_group(victim)
    until(lambda: site.component("mysql") != victim)
    check_recovery(site, workers)


def stop_mysql(site: Site, choose: random.Random) -> None:
    workers, victim = site.workers(), site.component("mysql")
    os.kill(victim, signal.SIGSTOP)
    try:
        time.sleep(site.pause)
    finally:
        os.kill(victim, signal.SIGCONT)
    check_recovery(site, workers)


def check_recovery(site: Site, workers: dict[str, set[int]]) -> None:
    """Check that the same processes serve again soon after MySQL does."""
    site.await_mysql()
    site.await_service(AWAY)
    assert site.workers() == workers, "a worker was restarted"


def kill_everything(site: Site, choose: random.Random) -> None:
    """`up` first, or it would start again what dies."""
    state = site.state
    kill(state.pid)
    for component in state.components.values():
        kill_group(component.pid)
    time.sleep(choose.uniform(0, 0.5))
    site.up()


def down_and_up(site: Site, choose: random.Random) -> None:
    site.down()
    time.sleep(choose.uniform(0, 0.5))
    site.up()


def restart_instances(site: Site, choose: random.Random) -> None:
    """As the deployment of a new version does: one after the other."""
    for name in choose.sample(["api1", "api2"], 2):
        before = site.component(name)
        os.kill(before, signal.SIGTERM)
        until(lambda name=name, before=before: site.component(name) != before)  # type: ignore[misc]
        site.await_service()


class Fault(NamedTuple):
    """`may_fail` and `may_cut` tell what clients have to bear; a slow one is made in a fifth of the rounds."""

    make: Callable[..., None]
    may_fail: bool = True
    may_cut: bool = False
    slow: bool = False
    bound: float | None = None  # seconds within which every request is answered


FAULTS = {
    "kill a worker": Fault(kill_worker),
    "kill an instance": Fault(kill_instance),
    "kill nginx": Fault(kill_nginx, may_cut=True),
    "kill MySQL": Fault(kill_mysql, bound=AWAY),
    "kill everything": Fault(kill_everything, may_cut=True),
    "stop MySQL (SIGSTOP)": Fault(stop_mysql, slow=True, bound=AWAY),
    "down and up": Fault(down_and_up, may_cut=True, slow=True),
    "restart both instances": Fault(restart_instances, may_fail=False, slow=True),
}


def slow_rounds(rounds: int) -> int:
    return max(rounds // 5, 1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Mix the rounds of all faults, so that none meets only what it has itself left behind."""
    rounds, seed = metafunc.config.getoption("rounds"), metafunc.config.getoption("seed")
    if "fault" in metafunc.fixturenames:
        plan = [
            (name, number)
            for name, fault in FAULTS.items()
            for number in range(slow_rounds(rounds) if fault.slow else rounds)
        ]
        random.Random(seed).shuffle(plan)
        metafunc.parametrize(("fault", "number"), plan, ids=[f"{name}-{number}" for name, number in plan])
    elif "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(slow_rounds(rounds)))


@contextmanager
def running(data: Path, root: Path = ROOT) -> Iterator[Site]:
    """Run a stack in a block, and leave nothing behind whatever happens."""
    site = Site(data, root)
    site.up()
    try:
        yield site
    finally:
        if state := DataDirectory(data).last_state():
            with suppress(ProcessLookupError):
                kill(state.pid)
            for component in state.components.values():
                kill_group(component.pid)
            until(lambda: not any(members(component.pid) for component in state.components.values()))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site")) as site:
        site.await_service()
        time.sleep(2.0)  # nginx ends a connection that has been quiet for a second
        site.idle = site.files()
        if pytestconfig.getoption("rounds") > 1:
            site.pause = 10.0
        yield site


@pytest.fixture(scope="module")
def said() -> list[Event]:
    """Every creation of all rounds so far."""
    return []


@pytest.fixture
def choose(request: pytest.FixtureRequest, number: int) -> random.Random:
    return random.Random(f"{request.config.getoption('seed')}/{request.node.name}")


def test_nobody_is_lost_or_told_something_untrue(
    site: Site, said: list[Event], tally: dict[str, list[Verdict]], fault: str, choose: random.Random
) -> None:
    make, may_fail, may_cut, _, bound = FAULTS[fault]
    if not DataDirectory(site.stack.data).is_locked():
        site.up()  # the round before has failed
    began, before = time.time(), site.do("SELECT COUNT(*) FROM pessoas")[0][0]

    with Load(site.stack.port, choose.getrandbits(32)) as load:
        time.sleep(choose.uniform(0.3, 1.0))
        make(site, choose)
        site.await_service()
        time.sleep(choose.uniform(0.1, 0.4))
    load.audit()

    verdict = judge(load.history, site.rows(began), before=before, may_fail=may_fail, may_cut=may_cut)
    tally.setdefault(fault, []).append(verdict)
    said += [event for event in load.history if event.action is Action.CREATE]
    assert (verdict.lost, verdict.doubled, verdict.untrue) == ([], [], [])
    assert verdict.acknowledged > 20, "there was no load"
    if bound:
        assert verdict.slowest < bound + NOISE
        assert verdict.unavailable, "nobody noticed"
        until(lambda: site.files() <= site.idle + 1, 5)  # these workers have met the fault and live on
    until(lambda: site.connections() <= len(WORKERS), 5)


def test_after_all_rounds_everybody_is_still_there(site: Site, said: list[Event]) -> None:
    last = Load(site.stack.port, 0)
    last.history += said
    last.audit()
    verdict = judge(last.history, site.rows(), may_cut=True)

    assert (verdict.lost, verdict.doubled, verdict.untrue) == ([], [], [])
    assert verdict.acknowledged == len({event.person.nickname for event in said if event.status == 201}) > 100
    checked = site.do("CHECK TABLE pessoas EXTENDED")
    assert [row[-1] for row in checked] == ["OK"]


def test_a_killed_mysql_whose_id_somebody_else_has_keeps_nothing_from_starting(site: Site) -> None:
    """MySQL takes the lock of its socket for held while any process has the id in it."""
    site.down()
    (site.stack.data / "run/mysql.sock.lock").write_text(f"{os.getpid()}\n")

    site.up()


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own: room for a new database, and 500 MB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=900m", "rinha", str(directory)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be made here: {mounted.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_a_full_disk_costs_answers_and_nobody(
    small_disk: Path, tally: dict[str, list[Verdict]], choose: random.Random, number: int
) -> None:
    """Somebody else fills it while people with many skills come, so that the full-text index is written too."""
    ballast = small_disk / "ballast"
    with running(small_disk / "data") as site:
        began = time.time()
        with Load(site.stack.port, choose.getrandbits(32), skills=500) as load:
            time.sleep(choose.uniform(0.5, 1.5))
            fill(ballast, choose.randrange(1, 20) * MEGABYTE)
            filled = time.monotonic()
            time.sleep(3.0)
            freed = time.monotonic()
            ballast.unlink()
            until(lambda: stored_since(load, freed))
            time.sleep(3.0)
        site.await_service()
        time.sleep(3.0)  # for InnoDB to have written its full-text cache, see Load
        load.audit()

        verdict = judge(load.history, site.rows(began))
        tally.setdefault("disk full", []).append(verdict)
        assert (verdict.lost, verdict.doubled, verdict.untrue) == ([], [], [])
        assert verdict.unavailable, "the disk was not full"
        assert not [event for event in load.history if filled + 2 < event.started < freed and event.status == 201]
        assert [row[-1] for row in site.do("CHECK TABLE pessoas EXTENDED")] == ["OK"]


def fill(ballast: Path, left: int) -> None:
    """Take all of the disk but `left` bytes, though others write too."""
    with ballast.open("wb") as file:
        while (size := shutil.disk_usage(ballast.parent).free - left) > 0:
            with suppress(OSError):  # there is no room for as much any more
                os.posix_fallocate(file.fileno(), 0, size)
                return


def stored_since(load: Load, moment: float) -> bool:
    """Tell whether somebody new was stored after a moment."""
    recent = load.history[-100:]
    return any(event.action is Action.CREATE and event.status == 201 and event.started > moment for event in recent)
