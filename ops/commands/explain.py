"""Show how the running database is searched for a term."""

import argparse
from collections.abc import Sequence

from pymysql.converters import escape_string

from ops.client import line
from ops.commands import options
from ops.errors import OperatorError
from service.errors import Unavailable
from service.person import OFFICIAL, Person
from service.search import SearchPlan
from service.store import PeopleStore
from service.timed_reader import Step

HITS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the stack and the term."""
    options.add_stack(parser)
    parser.add_argument("term")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan, statements, times and first hits."""
    directory = options.data_directory(arguments)
    directory.running()
    try:
        print(text(*PeopleStore(directory.config()).explain(arguments.term)))
    except Unavailable as error:
        raise OperatorError(str(error)) from None
    return 0


def text(plan: SearchPlan, steps: Sequence[Step], people: Sequence[Person]) -> str:
    """Return an explanation as text."""
    expression = plan.match_expression(0)
    full_text = (
        f"the full-text index narrows with {expression}"
        if expression
        else "no component of the term is in the full-text index"
    )
    if not plan.scan_first:
        how = f"{full_text}, LIKE {plan.pattern} decides"
    elif expression:
        how = f"a scan with LIKE {plan.pattern} for at most {plan.full_text_ms} ms; if that is not enough, {full_text}"
    else:
        how = f"a scan with LIKE {plan.pattern}; {full_text}"
    lines = [f"plan: {how}"]
    for number, step in enumerate(steps, 1):
        outcome = "stopped at its time" if step.rows is None else f"{step.rows} rows"
        values = tuple(f"'{escape_string(value)}'" for value in step.values)
        lines += [f"{number}. {outcome} in {step.seconds * 1000:.1f} ms", f"   {step.statement % values};"]
    lines.append(f"first of {len(people)} found:" if people else "nobody found")
    lines += [line(person.document(OFFICIAL)) for person in people[:HITS]]
    return "\n".join(lines)
