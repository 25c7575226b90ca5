"""The commands of the documents, and what they print.

A comment just before a block of commands can restrict it: `<!-- not run: REASON -->`, or
`<!-- output not compared: REASON -->`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ops import ROOT

_PATHS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DOCUMENTS = {str(path.relative_to(ROOT)): path.read_text() for path in _PATHS}

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>sh|console)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_DIFF = re.compile(r"^(?P<indent> *)```diff\n *\+\+\+ (?P<file>\S+)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_RESTRICTION = re.compile(r"<!-- (?P<mark>not run|output not compared): (?P<reason>.+?) -->\s*$")
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# What differs in each run, and the pattern of its values. "…" in a document stands for any text.
_VARIABLE = {r"…": r".*", r"\b[0-9a-f]{32}\b": r"[0-9a-f]{32}", r"Date: .+": r"Date: [^\n]+"}


class Block(NamedTuple):
    """A fenced block of commands: its document, first line, kind and text, how it is restricted, and why."""

    document: str
    line: int
    kind: str
    text: str
    mark: str = ""
    reason: str = ""


class Change(NamedTuple):
    """A place in a file that a document changes: the lines there, and the lines in their place."""

    file: str
    old: str
    new: str


class Step(NamedTuple):
    """A command, and its output in the document; None if the output is not compared."""

    command: str
    output: str | None


def blocks_of(document: str, text: str) -> Iterator[Block]:
    """Yield the blocks of commands in the text of a document."""
    for found in _BLOCK.finditer(text):
        commands = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        restriction = _RESTRICTION.search(text, 0, found.start())
        line = text.count("\n", 0, found.start()) + 1
        yield Block(document, line, found["kind"], commands, *(restriction.groups() if restriction else ()))


def changes_of(text: str) -> Iterator[Change]:
    """Yield the changes in the diff blocks of a document, which name a file and begin each place with @@."""
    for found in _DIFF.finditer(text):
        diff = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        for lines in [place.splitlines() for place in diff.split("@@\n")[1:]]:
            old, new = (
                "".join(f"{line[1:]}\n" for line in lines if not line.startswith(other)) for other in ("+", "-")
            )
            yield Change(found["file"], old, new)


def steps_of(block: Block) -> list[Step]:
    """Return the commands of a block: all of `sh` as one step, and each of `console`, after "$ "."""
    if block.kind == "sh":
        return [Step(block.text, None)]
    steps = re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE)
    return [Step(command, None if block.mark else output.rstrip()) for command, output in steps]


def match_output(shown: str, printed: str, ids: dict[str, str]) -> dict[str, str] | None:
    """Compare the output in a document with the printed one; return the known ids and the new ones, None if it differs.

    `ids` has the printed id for each id in the document that is known. Another id may be any, the same each time.
    """
    pattern, new = "", dict[str, str]()
    for piece in re.split(f"({_ID}|{'|'.join(_VARIABLE)})", shown):
        variable = [value for form, value in _VARIABLE.items() if re.fullmatch(form, piece)]
        if variable:
            pattern += variable[0]
        elif piece in new:
            pattern += f"(?P={new[piece]})"
        elif re.fullmatch(_ID, piece) and piece not in ids:
            new[piece] = f"id{len(new)}"
            pattern += f"(?P<{new[piece]}>{_ID})"
        else:
            pattern += re.escape(ids.get(piece, piece))
    found = re.fullmatch(pattern, printed, re.DOTALL)
    return {**ids, **{identifier: found[group] for identifier, group in new.items()}} if found else None
