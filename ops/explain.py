"""How the running service searches for a term: its plan, statements, times and first hits, for people."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pymysql.converters import escape_string

from ops.client import line
from ops.folder import ROOT, OperatorError

HITS = 5


def explain(socket: Path, password_file: Path, term: str) -> dict[str, Any]:
    """Return what `python -m service --explain` says of the database at `socket`; raise OperatorError."""
    environment = {"DB_SOCKET": str(socket), "DB_PASSWORD_FILE": str(password_file)}
    said = subprocess.run(
        [sys.executable, "-m", "service", "--explain", term],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip
    if said.returncode:
        raise OperatorError(said.stderr.strip().splitlines()[-1])
    document: dict[str, Any] = json.loads(said.stdout)
    return document


def text(document: dict[str, Any]) -> str:
    """Return an explanation as text."""
    words, pattern, cost, scan_first = document["plan"].values()
    full_text = (
        f"the full-text index narrows with {words}" if words else "no part of the term is in the full-text index"
    )
    if not scan_first:
        plan = f"{full_text}, LIKE {pattern} decides"
    elif words:
        plan = f"a scan with LIKE {pattern} for at most {cost} ms; if that is not enough, {full_text}"
    else:
        plan = f"a scan with LIKE {pattern}; {full_text}"
    lines = [f"plan: {plan}"]
    for number, step in enumerate(document["steps"], 1):
        outcome = "stopped at its time" if step["rows"] is None else f"{step['rows']} rows"
        values = tuple(f"'{escape_string(value)}'" for value in step["values"])
        lines += [f"{number}. {outcome} in {step['seconds'] * 1000:.1f} ms", f"   {step['statement'] % values};"]
    people = document["people"]
    lines += [f"first of {len(people)} found:" if people else "nobody found", *map(line, people[:HITS])]
    return "\n".join(lines)
