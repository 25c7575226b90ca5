"""Play the contest's load with Gatling on a dedicated stack, and report the result."""

import argparse
import signal
import sys
from functools import partial

from bench.compose_project import ENGINES
from bench.compose_stack import compose_stack
from bench.host_stack import host_stack
from bench.people import DIALECTS
from bench.run import LoadPlan, play
from bench.stack import StartStack
from ops import ROOT
from ops.commands import options
from ops.errors import OperatorError

WORKERS = 4  # of each instance
CPUS, MEMORY = 1.5, 3072  # CPUs and MB, the contest's


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the stack, of its limits and of the load."""
    add = parser.add_argument
    add("--port", type=options.port, default=options.PORT, help="the port of the stack (default: %(default)s)")
    results = ROOT / ".rinha/bench"
    add(
        "--data",
        type=options.path,
        default=results,
        metavar="DIR",
        help="the directory for results (default: .rinha/bench)",
    )
    add(
        "--compose",
        nargs="?",
        const=True,
        choices=ENGINES,
        help="use the containers of compose.yaml, with its limits and workers, by this engine or the one there is",
    )
    add(
        "--workers",
        type=options.count,
        metavar="N",
        help=f"the number of workers of each instance (default: {WORKERS})",
    )
    add("--cpus", type=float, metavar="N", help=f"the CPUs of all components together (default: {CPUS})")
    add("--memory", type=int, metavar="MB", help=f"the memory of all components together (default: {MEMORY})")
    add("--unlimited", action="store_const", const=True, help="apply no limits; the report says so")
    add("--gatling", default="3.9.5", metavar="VERSION", help="3.9.5 (default, the contest's) or 3.10.5")
    add("--dialect", choices=DIALECTS, default="official", help="the paths and field names (default: %(default)s)")
    add("--seed", type=int, default=1, metavar="N", help="the seed of people and terms (default: %(default)s)")
    add("--scale", type=float, default=1.0, metavar="N", help="multiply every rate by N (default: 1)")
    add("--duration", type=int, default=205, metavar="SECONDS", help="the duration of the load (default: 205)")
    add("--runs", type=options.count, default=1, metavar="N", help="play the load N times (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Play the load; return 0 if all valid people were stored in each run and all audits found no difference."""
    plan = LoadPlan(
        _stack(arguments),
        arguments.port,
        arguments.data,
        arguments.gatling,
        arguments.dialect,
        arguments.seed,
        arguments.scale,
        arguments.duration,
    )
    for number in (signal.SIGTERM, signal.SIGHUP):  # the stack must not outlive this process
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    passed = [play(plan) for _ in range(arguments.runs)]
    return 0 if all(passed) else 1


def _stack(arguments: argparse.Namespace) -> StartStack:
    if arguments.compose:
        if given := [name for name in ("cpus", "memory", "workers", "unlimited") if vars(arguments)[name] is not None]:
            raise OperatorError(f"--{given[0]} does not go with --compose: compose.yaml has the limits and the workers")
        engines = ENGINES if arguments.compose is True else (arguments.compose,)
        return partial(compose_stack, engines, arguments.port)
    cpus = CPUS if arguments.cpus is None else arguments.cpus
    memory = MEMORY if arguments.memory is None else arguments.memory
    budget = None if arguments.unlimited else (cpus, memory)
    return partial(host_stack, arguments.port, arguments.workers or WORKERS, budget)
