"""Show how the stack searches for a term."""

import argparse
from collections.abc import Sequence

from pymysql.converters import escape_string

from ops.client import line
from ops.commands import options
from ops.console import show_progress
from ops.errors import OperatorError
from ops.stack.availability import wait_for_mysql
from service.errors import Unavailable
from service.person import OFFICIAL, Person
from service.search import SearchPlan
from service.store import PeopleStore
from service.timed_reader import Step

SHOWN = 5  # people


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the stack, and the term."""
    options.add_stack(parser)
    parser.add_argument("term", help="the fragment to look for; case and accents do not count")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan, the statements with their times, and the first people found."""
    directory = options.data_directory(arguments)
    directory.running()
    wait_for_mysql(directory, show_progress)
    show_progress("")
    try:
        print(text(*PeopleStore(directory.config()).explain(arguments.term)))
    except Unavailable as error:
        raise OperatorError(f"{error}; see {directory.log}/mysql.log") from None
    return 0


def text(plan: SearchPlan, steps: Sequence[Step], people: Sequence[Person]) -> str:
    """Return the explanation of a search that followed `plan`, executed `steps` and found `people`."""
    lines = [f"plan: {_plan(plan)}"]
    for number, step in enumerate(steps, 1):
        outcome = "stopped at its time limit after" if step.rows is None else f"{step.rows} rows in"
        values = tuple(f"'{escape_string(value)}'" for value in step.values)
        lines += [f"{number}. {outcome} {step.seconds * 1000:.1f} ms", f"   {step.statement % values};"]
    lines.append(f"{len(people)} found" + (f", the first {SHOWN}:" if len(people) > SHOWN else ":" if people else ""))
    lines += [line(person.document(OFFICIAL)) for person in people[:SHOWN]]
    return "\n".join(lines)


def _plan(plan: SearchPlan) -> str:
    expression = plan.match_expression(0)
    if not expression:
        return f"a scan with LIKE {plan.pattern}; no part of the term is in the full-text index"
    full_text = f"the full-text index narrows with {expression}"
    if plan.scan_first:
        return f"a scan with LIKE {plan.pattern} for at most {plan.full_text_ms} ms; if that is not enough, {full_text}"
    return f"{full_text}, LIKE {plan.pattern} decides"
