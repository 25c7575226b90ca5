"""Play the contest's load with Gatling, on a stack of its own, and report."""

import argparse
import signal
import sys
from functools import partial
from pathlib import Path

from bench.compose_stack import compose_stack
from bench.host_stack import host_stack
from bench.run import LoadPlan, play
from bench.stack import StartStack
from ops import ROOT
from ops.commands import options
from ops.errors import OperatorError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the stack's size and limits, and the load's."""
    add = parser.add_argument
    results = ROOT / ".rinha/bench"
    add("--port", type=options.port, default=options.PORT, help="(default: %(default)s)")
    add("--data", type=Path, default=results, metavar="DIR", help="where results go (default: .rinha/bench)")
    add("--compose", action="store_true", help="on the containers of compose.yaml, which has limits and workers")
    add("--workers", type=options.count, metavar="N", help="processes per instance (default: 4)")
    add("--cpus", type=float, metavar="N", help="CPUs for everything together (default: 1.5)")
    add("--memory", type=int, metavar="MB", help="memory for everything together (default: 3072)")
    add("--unlimited", action="store_const", const=True, help="without limits; the report says so")
    add("--gatling", default="3.9.5", metavar="VERSION", help="(default: 3.9.5, the contest's; 3.10.5 runs too)")
    add("--dialect", choices=("official", "english"), default="official")
    add("--seed", type=int, default=1, help="of the people and terms (default: 1)")
    add("--scale", type=float, default=1.0, help="multiplies every rate (default: 1)")
    add("--duration", type=int, default=205, metavar="SECONDS", help="of the load (default: 205)")
    add("--runs", type=options.count, default=1, metavar="N", help="play it so many times (default: 1)")


def run(arguments: argparse.Namespace) -> int:
    """Play the load as often as asked for; return 0 if everybody was stored each time and the audits hold."""
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
    for number in (signal.SIGTERM, signal.SIGHUP):  # or what was started would outlive us
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    passed = [play(plan) for _ in range(arguments.runs)]
    return 0 if all(passed) else 1


def _stack(arguments: argparse.Namespace) -> StartStack:
    if arguments.compose:
        if given := [name for name in ("cpus", "memory", "workers", "unlimited") if vars(arguments)[name] is not None]:
            raise OperatorError(f"--{given[0]} does not go with --compose: compose.yaml has the limits and the workers")
        return partial(compose_stack, arguments.port)
    cpus = 1.5 if arguments.cpus is None else arguments.cpus
    memory = 3072 if arguments.memory is None else arguments.memory
    budget = None if arguments.unlimited else (cpus, memory)
    return partial(host_stack, arguments.port, arguments.workers or 4, budget)
