"""The commands of ./rinha."""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pymysql

from db.server import Database, DatabaseError
from ops import client, explain
from ops.bench import Plan, Start, bench
from ops.containers import containers
from ops.deploy import deploy
from ops.doctor import doctor
from ops.embedded import embedded
from ops.folder import ROOT, Folder, OperatorError
from ops.limits import divide
from ops.packages import PackagesError, run_where_bjoern_builds
from ops.processes import usage
from ops.seed import load
from ops.up import Stack


def main() -> int:
    """Run the command of the arguments; return its exit status: 1 with the reason on standard error."""
    if sys.argv[1:2] == ["test"] and sys.argv[2:3] not in (["-h"], ["--help"]):
        return _test(sys.argv[2:])  # past argparse, which would take options for its own
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments) or 0)
    except (OperatorError, PackagesError, DatabaseError) as error:
        print(f"rinha: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"rinha: {error.filename or 'it'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./rinha", description="People by any fragment: run it, look into it, test it."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], object], about: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        command.set_defaults(run=run)
        return command

    up = add("up", _up, "start everything and keep it running")
    up.add_argument("--instances", type=_count, default=2, metavar="N", help="API instances (default: 2)")
    up.add_argument("--workers", type=_count, default=4, metavar="N", help="processes per instance (default: 4)")
    up.add_argument("--cpus", type=float, metavar="N", help="CPUs for everything together (default: no limit)")
    up.add_argument("--memory", type=int, metavar="MB", help="memory for everything together (default: no limit)")
    up.add_argument("--detach", action="store_true", help="return when it is ready, and let it run")
    down = add("down", _down, "stop what `up` started")
    rolling = add("deploy", _deploy, "put the code as it is now into the running instances, one after the other")
    status = add("status", _status, "show processes, uptime, rows and memory")
    status.add_argument("--json", action="store_true", help="as JSON")
    sql = add("sql", _sql, "open the mysql client on the running database")
    sql.add_argument("-e", "--execute", metavar="STATEMENTS", help="run these and leave")
    seed = add("seed", _seed, "load realistic people into the running database")
    seed.add_argument("count", type=int, metavar="N", help="how many; those of an earlier call count too")
    explanation = add("explain", _explain, "show how the running database is searched for a term")
    explanation.add_argument("term")
    examination = add(
        "doctor", _doctor, "check a running stack: index, count, schema, settings, disk, limits, versions"
    )
    examination.add_argument("--all", action="store_true", help="ask for everybody (default: the newest 50,000 people)")
    examination.add_argument("--heal", action="store_true", help="put people into the index again, and count anew")
    examination.add_argument("--json", action="store_true", help="as JSON")
    for command in (up, down, rolling, status, sql, seed, explanation, examination):
        command.add_argument("--port", type=_port, default=9999, help="the port of the stack (default: 9999)")
        command.add_argument("--data", type=Path, metavar="DIR", help="the data folder (default: .rinha/PORT)")

    add("test", lambda _: _test([]), "run the tests with tox; every argument goes to pytest")

    load = add("bench", _bench, "play the contest's load with Gatling, on a stack of its own, and report")
    _add_bench_options(load)

    create = add("create", _create, "store a person")
    create.add_argument("nickname", help="at most 32 characters, nobody else's")
    create.add_argument("name", help="at most 100 characters")
    create.add_argument("birth_date", help="YYYY-MM-DD")
    create.add_argument("skills", nargs="*", metavar="skill", help="at most 32 characters each")
    get = add("get", _get, "show the person with an id")
    get.add_argument("id")
    search = add("search", _search, "show at most 50 people with a term in nickname, name or a skill")
    search.add_argument("term")
    count = add("count", _count_people, "show how many people there are")
    for command in (create, get, search, count):
        command.add_argument("--url", default="http://localhost:9999", help="of the service (default: %(default)s)")
        command.add_argument("--json", action="store_true", help="as the service answers")
    return parser


def _add_bench_options(load: argparse.ArgumentParser) -> None:
    load.add_argument("--port", type=_port, default=9999, help="(default: 9999)")
    load.add_argument(
        "--data",
        type=Path,
        default=ROOT / ".rinha/bench",
        metavar="DIR",
        help="where results go (default: .rinha/bench)",
    )
    load.add_argument(
        "--compose", action="store_true", help="on the containers of compose.yaml, which has limits and workers"
    )
    load.add_argument("--workers", type=_count, metavar="N", help="processes per instance (default: 4)")
    load.add_argument("--cpus", type=float, metavar="N", help="CPUs for everything together (default: 1.5)")
    load.add_argument("--memory", type=int, metavar="MB", help="memory for everything together (default: 3072)")
    load.add_argument("--unlimited", action="store_const", const=True, help="without limits; the report says so")
    load.add_argument(
        "--gatling", default="3.9.5", metavar="VERSION", help="(default: 3.9.5, the contest's; 3.10.5 runs too)"
    )
    load.add_argument("--dialect", choices=("official", "english"), default="official")
    load.add_argument("--seed", type=int, default=1, help="of the people and terms (default: 1)")
    load.add_argument("--scale", type=float, default=1.0, help="multiplies every rate (default: 1)")
    load.add_argument("--duration", type=int, default=205, metavar="SECONDS", help="of the load (default: 205)")
    load.add_argument("--runs", type=_count, default=1, metavar="N", help="play it so many times (default: 1)")


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError("must be from 1 to 65535")
    return number


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError("must be from 1 to 64")
    return number


def _up(arguments: argparse.Namespace) -> None:
    folder = Folder.chosen(arguments.data, arguments.port)
    folder.make()
    if arguments.detach:
        _detach(folder)
        return
    if bool(arguments.cpus) != bool(arguments.memory):
        raise OperatorError("--cpus and --memory go together")
    limits = divide(arguments.cpus, arguments.memory << 20, arguments.instances) if arguments.cpus else None
    with folder.locked():
        Stack(folder, arguments.port, arguments.instances, arguments.workers, limits).run(_report)


def _report(line: str) -> None:
    """Show what is going on: on one line of a terminal, elsewhere line by line."""
    with contextlib.suppress(OSError):  # nobody reads any more: that must not keep the stack from stopping
        if sys.stdout.isatty():
            print(f"\r\033[K{'rinha: ' if line else ''}{line}", end="", flush=True)
        elif line:
            print(f"rinha: {line}", flush=True)


def _detach(folder: Folder) -> None:
    """Start `up` in the background and return once it is ready; what it says meanwhile is said here."""
    if folder.is_locked():
        with folder.locked():
            pass
    log = folder.log / "up.log"
    words = [word for word in sys.argv[1:] if word != "--detach"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-P", "-m", "ops", *words],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    with log.open() as said:
        while process.poll() is None:
            print(said.read(), end="", flush=True)
            state = folder.last_state()
            if state and state.ready and state.pid == process.pid:
                break
            time.sleep(0.05)
        print(said.read(), end="", flush=True)
    if process.poll() is not None:
        raise OperatorError(f"it did not start (see above, and {folder.log})")


def _down(arguments: argparse.Namespace) -> None:
    folder = Folder.chosen(arguments.data, arguments.port)
    os.kill(folder.running().pid, signal.SIGTERM)
    while folder.is_locked():
        time.sleep(0.05)
    print("rinha: stopped")


def _deploy(arguments: argparse.Namespace) -> None:
    late = deploy(Folder.chosen(arguments.data, arguments.port), _report)
    _report("")
    print("rinha: the new version serves")
    if late:
        print(f"rinha: {', '.join(late)} changed too: that counts after ./rinha down and ./rinha up")


def _status(arguments: argparse.Namespace) -> int:
    folder = Folder.chosen(arguments.data, arguments.port)
    state = folder.running()
    said = subprocess.run(
        [*Database.of(folder, _report).client(), "-N", "-e", "SELECT pessoas FROM rinha.contagem"],
        capture_output=True,
        text=True,
    )
    rows = int(said.stdout) if said.returncode == 0 else None
    parts = {name: usage(part.pid) for name, part in state.parts.items()}
    uptime = round(time.time() - state.since)
    if arguments.json:
        document = {"port": state.port, "pid": state.pid, "data": str(folder.path), "ready": state.ready}
        print(json.dumps({
            **document, "uptime_seconds": uptime, "rows": rows,
            "parts": {name: {"pid": state.parts[name].pid, **used._asdict()} for name, used in parts.items()},
        }))  # fmt: skip
        return 0
    print(
        f"http://localhost:{state.port}  up {uptime} s  {'MySQL does not answer' if rows is None else f'{rows:,} rows'}"
    )
    print(f"{'part':<8}{'pid':>9}{'processes':>11}{'memory':>10}{'CPU':>10}")
    for name, used in parts.items():
        print(f"{name:<8}{state.parts[name].pid:>9}{used.processes:>11}{used.memory >> 20:>7} MB{used.cpu:>8.1f} s")
    return 0


def _sql(arguments: argparse.Namespace) -> None:
    folder = Folder.chosen(arguments.data, arguments.port)
    folder.running()
    command = [*Database.of(folder, _report).client(), "--default-character-set=utf8mb4", "rinha"]
    if arguments.execute is not None:
        command += ["-e", arguments.execute]
    os.execv(command[0], command)


def _seed(arguments: argparse.Namespace) -> None:
    folder = Folder.chosen(arguments.data, arguments.port)
    folder.running()
    started = time.monotonic()
    shown = 0.0

    def show(there: int, loaded: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if there < arguments.count and now - shown < (0.2 if sys.stdout.isatty() else 10):
            return
        shown = now
        bar = "#" * int(30 * there / arguments.count)
        rate = loaded / (now - started)
        _report(f"[{bar:<30}] {there:,} of {arguments.count:,} people, {rate:,.0f} a second")

    try:
        load(Database.of(folder, _report).socket, arguments.count, show)
    except pymysql.MySQLError as error:
        raise OperatorError(f"MySQL: {error}; call it again to go on") from None
    finally:
        if sys.stdout.isatty():
            print()


def _explain(arguments: argparse.Namespace) -> None:
    folder = Folder.chosen(arguments.data, arguments.port)
    folder.running()
    database = Database.of(folder, _report)
    print(explain.text(explain.explain(database.socket, database.password_file, arguments.term)))


def _doctor(arguments: argparse.Namespace) -> int:
    folder = Folder.chosen(arguments.data, arguments.port)
    progress = (lambda line: None) if arguments.json else _report
    findings = []
    for finding in doctor(folder, arguments.all, arguments.heal, progress):
        findings.append(finding)
        if not arguments.json:
            print(f"{'well' if finding.well else 'NOT WELL':<10}{finding.name:<12}{finding.seen}")
            if not finding.well:
                print(f"{'':<22}{finding.remedy}")
    if arguments.json:
        print(json.dumps([finding._asdict() for finding in findings]))
    return 0 if all(finding.well for finding in findings) else 1


def _test(arguments: Sequence[str]) -> int:
    tox = Path(sys.executable).with_name("tox")
    if not tox.exists():
        _report("installing tox")
        base = getattr(sys, "_base_executable", sys.executable)
        pip = [base, "-m", "pip", "--python", sys.executable, "install", "--quiet", "--require-hashes"]
        status = run_where_bjoern_builds([*pip, "--requirement", str(ROOT / "requirements-dev.txt")], _report)
        if status:
            return status
    return subprocess.run([str(tox), "run", "-e", "tests", "--", *arguments], cwd=ROOT).returncode


def _bench(arguments: argparse.Namespace) -> int:
    start: Start
    if arguments.compose:
        if given := [name for name in ("cpus", "memory", "workers", "unlimited") if vars(arguments)[name] is not None]:
            raise OperatorError(f"--{given[0]} does not go with --compose: compose.yaml has the limits and the workers")
        start = partial(containers, arguments.port)
    else:
        cpus = 1.5 if arguments.cpus is None else arguments.cpus
        memory = 3072 if arguments.memory is None else arguments.memory
        budget = None if arguments.unlimited else (cpus, memory)
        start = partial(embedded, arguments.port, arguments.workers or 4, budget)
    plan = Plan(
        start, arguments.port, arguments.data, arguments.gatling, arguments.dialect, arguments.seed, arguments.scale,
        arguments.duration,
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGHUP):  # or what was started would outlive us
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    passed = [bench(plan, _report) for _ in range(arguments.runs)]
    return 0 if all(passed) else 1


def _create(arguments: argparse.Namespace) -> None:
    document = {
        "apelido": arguments.nickname,
        "nome": arguments.name,
        "nascimento": arguments.birth_date,
        "stack": arguments.skills or None,
    }
    _show(arguments, client.request(arguments.url, "/pessoas", document))


def _get(arguments: argparse.Namespace) -> None:
    _show(arguments, client.request(arguments.url, client.person_path(arguments.id)))


def _search(arguments: argparse.Namespace) -> None:
    people = client.request(arguments.url, client.search_path(arguments.term))
    if arguments.json:
        print(json.dumps(people, ensure_ascii=False))
        return
    for person in people:
        print(client.line(person))
    print(f"{len(people)} found" + (", and there may be more" if len(people) == 50 else ""))


def _count_people(arguments: argparse.Namespace) -> None:
    print(client.request(arguments.url, "/contagem-pessoas"))


def _show(arguments: argparse.Namespace, person: dict[str, Any]) -> None:
    print(json.dumps(person, ensure_ascii=False) if arguments.json else client.line(person))


if __name__ == "__main__":
    sys.exit(main())
