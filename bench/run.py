"""./rinha bench: the contest's load by Gatling on a stack of its own, scored, audited and reported."""

import http.client
import json
import os
import platform
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from bench.people import Payload, maximum, payloads, write
from bench.report import Facts, Run, Samples, html, json_line, parse, summarise, text
from ops import ROOT
from ops.errors import OperatorError
from ops.system.cgroups import Consumption, Limit

PROJECT = ROOT / "bench/gatling"
PEOPLE, TERMS = 100_000, 5_000  # as many as the contest's files have
SEARCHED = 2_000  # rows that the audit looks for by search; all of them where there are fewer


Report = Callable[[str], None]


class Stack(Protocol):
    """A running stack with nobody stored, made for one run of the load, of whatever it is made."""

    limits: Mapping[str, Limit]  # that are applied to each part; empty if none is
    workers: int
    versions: dict[str, str]
    made_of: str

    def consumption(self) -> Mapping[str, Consumption]:
        """Return what each part uses."""

    def query(self, statement: str) -> str:
        """Return what MySQL's root gets for a statement: lines of columns with tabs between."""


# Runs a stack, given a folder for what is to be kept of it.
Start = Callable[[Path, Report], AbstractContextManager[Stack]]


class LoadPlan(NamedTuple):
    """One run of the load: on which stack, and what is sent to its port."""

    start: Start
    port: int
    data: Path
    gatling: str
    dialect: str
    seed: int
    scale: float
    duration: int


def bench(plan: LoadPlan, report: Report) -> bool:
    """Play the load once and print and write the report; tell whether nobody was lost and the audit holds.

    Raises OperatorError where java, Maven or the stack cannot be had.
    """
    folder = plan.data / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    classpath = _prepare_gatling(plan.gatling, report)
    write(folder / "feed", plan.seed, PEOPLE, TERMS, plan.dialect)
    with plan.start(folder, report) as stack:
        samples: list[dict[str, Any]] = []
        with _sampling(stack, samples):
            report(f"playing the load for {plan.duration} s")
            log = _play(plan, classpath, folder)
            time.sleep(1)
        run = parse(log.read_text(encoding="utf-8").splitlines())
        sent = list(islice(payloads(plan.seed, PEOPLE), summarise(run.requests)["create"].count))
        report("auditing")
        rows, faults = _audit(stack, plan, run, sent)
    facts = _facts(plan, stack, rows, maximum(sent), faults)
    _write(folder, run, samples, facts)
    report("")
    print(text(run, samples, facts))
    print(f"report: {folder / 'report.html'}; Gatling's own: {log.parent / 'index.html'}")
    return facts.passed


def _prepare_gatling(version: str, report: Report) -> str:
    """Compile the simulation against a version of Gatling; return the class path."""
    if not shutil.which("java") or not shutil.which("mvn"):
        raise OperatorError(
            "the load needs a JDK of 17 or later and Maven (Debian, Ubuntu: apt install openjdk-17-jdk maven)"
        )
    target = PROJECT / "target" / version
    sources = [PROJECT / "pom.xml", *PROJECT.glob("src/**/*.*")]
    if not (target / "classpath").exists() or (target / "classpath").stat().st_mtime < max(
        source.stat().st_mtime for source in sources
    ):
        report(f"preparing Gatling {version}")
        maven = ["mvn", "-q", "-B", f"-Dgatling.version={version}", "test-compile", "dependency:build-classpath"]
        done = subprocess.run(maven, cwd=PROJECT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise OperatorError(f"Maven failed:\n{done.stdout[-2000:]}")
        (target / "classpath").touch()
    return f"{target / 'test-classes'}:{(target / 'classpath').read_text()}"


@contextmanager
def _sampling(stack: Stack, samples: list[dict[str, Any]]) -> Iterator[None]:
    """Note once a second what each part uses."""
    done = threading.Event()

    def sample() -> dict[str, Any]:
        used = stack.consumption().items()
        return {"t": time.time(), "parts": {name: {"cpu_s": u.cpu, "rss_mb": u.memory / 2**20} for name, u in used}}

    def watch() -> None:
        samples.append(sample())
        while not done.wait(1.0):
            samples.append(sample())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        if stack.limits:
            throttled = {name: used.throttled for name, used in stack.consumption().items()}
            print("periods of 100 ms in which a part ran out of CPU:", throttled)


def _play(plan: LoadPlan, classpath: str, folder: Path) -> Path:
    """Run the simulation; return its log."""
    properties = {
        "baseUrl": f"http://localhost:{plan.port}", "data": folder / "feed", "dialect": plan.dialect,
        "scale": plan.scale, "duration": plan.duration,
    }  # fmt: skip
    java = ["java", "@jvm.args", *(f"-D{name}={value}" for name, value in properties.items()), "-cp", classpath]
    results = folder / "gatling"
    with (folder / "gatling.txt").open("w") as output:
        done = subprocess.run(
            [*java, "io.gatling.app.Gatling", "-s", "rinha.RinhaSimulation", "-rf", str(results)],
            cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=plan.duration * 2 + 120,
        )  # fmt: skip
    logs = list(results.glob("*/simulation.log"))
    if done.returncode or not logs:
        raise OperatorError(f"Gatling failed; see {folder / 'gatling.txt'}")
    return logs[0]


def _audit(stack: Stack, plan: LoadPlan, run: Run, sent: Sequence[Payload]) -> tuple[int, list[str]]:
    """Compare what was acknowledged, what is stored, and what search finds; return the rows and what differs."""
    faults = []
    connection = http.client.HTTPConnection("127.0.0.1", plan.port, timeout=60)
    people, term = ("/pessoas", "t") if plan.dialect == "official" else ("/users", "q")
    count = int(_get(connection, "/contagem-pessoas"))
    # Gatling asks for a person when, and only when, it got a 201 with their Location.
    acknowledged = summarise(run.requests)["read"].count
    if acknowledged != count:
        faults.append(f"{acknowledged:,} acknowledged, {count:,} counted")
    stored = _rows(stack)
    wanted = {
        (d["apelido"], d["nome"], d["nascimento"], None if d["stack"] is None else "\n".join(d["stack"])): None
        for d in (payload.document for payload in sent if payload.status == 201)
    }
    if len(stored) != count:
        faults.append(f"{len(stored):,} rows read, {count:,} counted")
    if strangers := [row for row in stored if row[1:] not in wanted]:
        faults.append(f"{len(strangers):,} rows that nobody sent")
    if len({row[1] for row in stored}) != len(stored):
        faults.append("a nickname twice")
    lost = 0
    chosen = random.Random(plan.seed).sample(stored, min(SEARCHED, len(stored)))
    for identifier, nickname, name, _, _ in chosen:
        fragment = max(nickname, name.strip(), key=len)[-12:]
        found = json.loads(_get(connection, f"{people}?{urlencode({term: fragment})}"))
        lost += len(found) < 50 and identifier not in (person["id"] for person in found)
    if lost:
        faults.append(f"{lost:,} rows not found by search")
    return count, faults


def _get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise OperatorError(f"GET {path} answers {answer.status}")
    return body


def _rows(stack: Stack) -> list[tuple[str, str, str, str, str | None]]:
    lines = stack.query("SELECT BIN_TO_UUID(id), HEX(apelido), HEX(nome), nascimento, HEX(stack) FROM rinha.pessoas")

    def text_of(digits: str) -> str:
        return bytes.fromhex(digits).decode()

    return [
        (identifier, text_of(nickname), text_of(name), day, None if stack_ == "NULL" else text_of(stack_))
        for identifier, nickname, name, day, stack_ in (line.split("\t") for line in lines.splitlines())
    ]


def _facts(plan: LoadPlan, stack: Stack, rows: int, most: int, faults: Sequence[str]) -> Facts:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    limits = stack.limits
    cpus, memory = (sum(amounts) for amounts in zip(*limits.values(), strict=True)) if limits else (0, 0)
    return Facts(
        rows=rows,
        maximum=most,
        audit="; ".join(faults) or f"acknowledged = stored; {min(SEARCHED, rows):,} rows searched for and found",
        audit_passed=not faults,
        machine=f"{model}, {os.cpu_count()} CPUs, shared with the load generator",
        commit=commit or "unknown",
        seed=plan.seed,
        versions=stack.versions,
        limits={"CPU": round(cpus, 3), "MB": round(memory / 2**20)} if limits else {},
        settings={
            "limits are": ", ".join(f"{name} {limit.cpus:.2f}" for name, limit in limits.items()) or "NOT APPLIED",
            "load": f"scale {plan.scale:g}, {plan.duration} s, {plan.dialect} dialect",
            "workers": f"{stack.workers} per instance",
            "stack": stack.made_of,
        },
    )  # fmt: skip


def _write(folder: Path, run: Run, samples: Samples, facts: Facts) -> None:
    (folder / "report.html").write_text(html(run, samples, facts))
    line = json_line(run, samples, facts)
    (folder / "result.json").write_text(line + "\n")
    with (folder.parent / "results.jsonl").open("a") as results:
        results.write(line + "\n")
