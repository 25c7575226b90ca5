"""Plays the contest's load with Gatling on a stack, and scores, audits and reports it."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bench.audit import Audit, Auditor
from bench.people import DIALECTS, maximum, payloads, write
from bench.report import Facts, html, json_line, text
from bench.stack import Stack, StartStack
from bench.statistics import Run, Samples, parse, summarise
from ops import ROOT, environment
from ops.console import Progress, Share, show_progress
from ops.errors import OperatorError
from ops.periodic import repeated

PROJECT = ROOT / "bench/gatling"
PEOPLE, TERMS = 100_000, 5_000  # as in the contest's files


class LoadPlan(NamedTuple):
    """One load: the stack, its port, the directory for results, and what is sent.

    `scale` multiplies every rate; `duration` is in seconds.
    """

    start_stack: StartStack
    port: int
    results: Path
    gatling: str
    dialect: str
    seed: int
    scale: float
    duration: int


def play(plan: LoadPlan, progress: Progress = show_progress) -> bool:
    """Play the load once; print and write the report; return whether every valid person is stored and found.

    Raises OperatorError if Java, Maven or the stack is missing.
    """
    directory = plan.results / time.strftime("%Y%m%d-%H%M%S")
    directory.mkdir(parents=True)
    class_path = _prepare_gatling(plan.gatling, progress)
    write(directory / "feed", plan.seed, PEOPLE, TERMS, plan.dialect)
    with plan.start_stack(directory, progress) as stack:
        samples: list[dict[str, Any]] = []
        with _sampling(stack, samples):
            with _showing_time(plan.duration, progress):
                log = _run_gatling(plan, class_path, directory)
            time.sleep(1)
        run = parse(log.read_text(encoding="utf-8").splitlines())
        requests = summarise(run.requests)
        sent = list(islice(payloads(plan.seed, PEOPLE), requests["create"].count))
        progress("auditing")
        # Gatling reads a person if, and only if, it got a 201 with the person's Location.
        audit = Auditor(stack, plan.port, DIALECTS[plan.dialect], plan.seed).audit(requests["read"].count, sent)
    facts = _facts(plan, stack, audit, maximum(sent))
    _write(directory, run, samples, facts)
    progress("")
    print(text(run, samples, facts))
    print(f"report: {directory / 'report.html'}; Gatling's own: {log.parent / 'index.html'}")
    return facts.passed


def _prepare_gatling(version: str, progress: Progress) -> str:
    """Compile the simulation for a version of Gatling, unless that is done; return the class path."""
    if not shutil.which("java") or not shutil.which("mvn"):
        raise OperatorError(
            "the load needs a JDK of 17 or later and Maven (Debian, Ubuntu: apt install openjdk-17-jdk maven)"
        )
    target = PROJECT / "target" / version
    class_path = target / "classpath"
    sources = [PROJECT / "pom.xml", *PROJECT.glob("src/**/*.*")]
    if not class_path.exists() or class_path.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        progress(f"preparing Gatling {version}")
        maven = ["mvn", "-q", "-B", f"-Dgatling.version={version}", "test-compile", "dependency:build-classpath"]
        completed = subprocess.run(
            maven,
            cwd=PROJECT,
            env=environment.listed(*environment.JAVA),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if completed.returncode:
            raise OperatorError(f"Maven failed:\n{completed.stdout[-2000:]}")
        class_path.touch()
    return f"{target / 'test-classes'}:{class_path.read_text()}"


@contextmanager
def _sampling(stack: Stack, samples: list[dict[str, Any]]) -> Iterator[None]:
    """Append what each component has used to `samples`, once a second."""

    def sample() -> dict[str, Any]:
        used = stack.consumption().items()
        components = {name: {"cpu_s": one.cpu, "rss_mb": one.memory / 2**20} for name, one in used}
        return {"t": time.time(), "components": components}

    samples.append(sample())
    try:
        with repeated(lambda: samples.append(sample()), 1.0):
            yield
    finally:
        if stack.limits:
            throttled = {name: used.throttled for name, used in stack.consumption().items()}
            print("periods of 100 ms in which a component ran out of CPU:", throttled)


@contextmanager
def _showing_time(duration: int, progress: Progress) -> Iterator[None]:
    """Show how much of the load's duration has passed. Gatling takes a little longer to start and to end."""
    started = time.monotonic()

    def show() -> None:
        progress(Share(f"playing the load for {duration} s", min(time.monotonic() - started, duration - 1), duration))

    show()
    with repeated(show, 1.0):
        yield


def _run_gatling(plan: LoadPlan, class_path: str, directory: Path) -> Path:
    """Run the simulation; return its log."""
    properties = {
        "baseUrl": f"http://localhost:{plan.port}",
        "data": directory / "feed",
        "dialect": plan.dialect,
        "scale": plan.scale,
        "duration": plan.duration,
    }
    java = ["java", "@jvm.args", *(f"-D{name}={value}" for name, value in properties.items()), "-cp", class_path]
    results = directory / "gatling"
    with (directory / "gatling.txt").open("w") as output:
        completed = subprocess.run(
            [*java, "io.gatling.app.Gatling", "-s", "rinha.RinhaSimulation", "-rf", str(results)],
            cwd=PROJECT,
            env=environment.listed("HOME", "JAVA_HOME"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=plan.duration * 2 + 120,
        )
    logs = list(results.glob("*/simulation.log"))
    if completed.returncode or not logs:
        raise OperatorError(f"Gatling failed; see {directory / 'gatling.txt'}")
    return logs[0]


def _facts(plan: LoadPlan, stack: Stack, audit: Audit, most: int) -> Facts:
    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(
        git, cwd=ROOT, env=environment.listed("HOME"), capture_output=True, text=True
    ).stdout.strip()
    limits = stack.limits
    cpus, memory = (sum(amounts) for amounts in zip(*limits.values(), strict=True)) if limits else (0, 0)
    return Facts(
        rows=audit.rows,
        maximum=most,
        audit=str(audit),
        audit_passed=not audit.differences,
        machine=f"{_cpu_model()}, {os.cpu_count()} CPUs, shared with the load generator",
        commit=commit or "unknown",
        seed=plan.seed,
        versions=stack.versions,
        limits={"CPU": round(cpus, 3), "MB": round(memory / 2**20)} if limits else {},
        settings={
            "CPUs of each component": ", ".join(f"{name} {limit.cpus:.2f}" for name, limit in limits.items())
            or "NOT APPLIED",
            "load": f"scale {plan.scale:g}, {plan.duration} s, {plan.dialect} dialect",
            "workers": f"{stack.workers} per instance",
            "stack": stack.kind,
        },
    )


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine())


def _write(directory: Path, run: Run, samples: Samples, facts: Facts) -> None:
    (directory / "report.html").write_text(html(run, samples, facts))
    line = json_line(run, samples, facts)
    (directory / "result.json").write_text(line + "\n")
    with (directory.parent / "results.jsonl").open("a") as results:
        results.write(line + "\n")
