"""Command lines, locales and streams as people and programs have them: a command works, or says in one line why not.

Each situation is a row: what the shell runs, the exit status, and a pattern of what is seen.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from ops import ROOT
from ops.__main__ import parser
from tests.support.people import create_person, new_nickname
from tests.support.polling import TIMEOUT
from tests.support.stack import RunningStack, ops_command, ops_environment

# The shell has the function `rinha`, the options of a stack, its address, and the nickname of one person.
SHELL = f'rinha() {{ {sys.executable} -P -m ops "$@"; }}\n'
NAME = "José 😀"  # of that person


class Situation(NamedTuple):
    """What a shell runs in surroundings, the exit status, and a pattern of what is seen in all."""

    name: str
    script: str
    status: int
    seen: str
    variables: Mapping[str, str] = {}


NOT_UTF_8 = r"rinha: the argument .*\\x..'? is not UTF-8\n"
DASH = r"usage: (?s:.*)put -- before a value that begins with a dash\n"
FOUND = rf"\S+  $NICKNAME  {NAME}  .*\n1 found\n"
ESCAPED = r"\S+  $NICKNAME  Jos\\xe9 \\U0001f600  .*\n1 found\n"
SITUATIONS = (
    # Arguments.
    Situation("a term begins with a dash", 'rinha search --url "$URL" -x', 2, DASH),
    Situation("a term is a dash and a number", 'rinha search --url "$URL" -7-7-7', 2, DASH),
    Situation("a term follows --", 'rinha search --url "$URL" -- -x-x-x', 0, "0 found\n"),
    Situation("a term to explain begins with a dash", "rinha explain $STACK -x", 2, DASH),
    Situation("a skill begins with a dash", 'rinha create --url "$URL" nick Ana 2000-01-01 -go', 2, DASH),
    Situation("an id begins with a dash", 'rinha get --url "$URL" -- -1', 1, "rinha: 404: .*\n"),
    Situation("a statement is a comment", "rinha sql $STACK -e '-- nothing'", 0, ""),
    Situation("an abbreviated option", "rinha status $STACK --js", 2, "usage: (?s:.*)unrecognized arguments: --js\n"),
    Situation("an abbreviated option of a client", 'rinha count --ur "$URL"', 2, "usage: (?s:.*): --ur .*\n"),
    Situation("an empty term", "rinha search --url \"$URL\" ''", 1, "rinha: 400: .*\n"),
    *(
        Situation(f"bytes that are no UTF-8 in {script}", f"rinha {script}", 1, NOT_UTF_8)
        for script in (
            r'search --url "$URL" $' + r"'Jos\xe9'", r'create --url "$URL" nick $' + r"'Jos\xe9' 2000-01-01",
            r"explain $STACK $'\xff'", r"get $'\xc3'", r"sql $STACK -e $'SELECT \'\xe9\''", r"up --data $'/proc/\xe9'",
            r"test $'\xe9'", r"$'\xe9'", r"count --url $'http://\xe9'",
        )
    ),
    # Locales and encodings.
    *(
        Situation(f"the variables {variables}", 'rinha search --url "$URL" "$NICKNAME"', 0, seen, variables)
        for variables, seen in (
            ({"LC_ALL": "C"}, FOUND), ({"LC_ALL": "POSIX"}, FOUND), ({"LC_ALL": "C.UTF-8"}, FOUND),
            ({"LC_ALL": "none"}, FOUND), ({"LC_ALL": "pt_BR.UTF-8", "LANG": ""}, FOUND),
            ({"PYTHONIOENCODING": "ascii"}, ESCAPED), ({"PYTHONIOENCODING": "ascii:strict"}, ESCAPED),
            ({"PYTHONIOENCODING": "iso-8859-2"}, ESCAPED.replace(r"\\xe9", "é")),
            ({"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}, ESCAPED),
        )
    ),
    Situation(
        "a term in the locale C", 'rinha search --url "$URL" "$NICKNAME" && rinha search --url "$URL" é–é', 0,
        FOUND + "0 found\n", {"LC_ALL": "C"},
    ),
    Situation("JSON in ASCII", 'rinha search --json --url "$URL" "$NICKNAME"', 0,
              r'\[\{.*"nome": "Jos\\u00e9 \\ud83d\\ude00".*\}\]\n', {"PYTHONIOENCODING": "ascii"}),
    Situation("an unprintable name of a directory", "rinha status --data é–é", 1, "rinha: nothing is running on .*\n",
              {"PYTHONIOENCODING": "ascii"}),
    # Streams and directories.
    Situation("no input", 'rinha count --url "$URL" <&-', 0, r"\d+\n"),
    Situation("no output for a refusal", "rinha get --url http://localhost:1 x >&-", 1, "rinha: .*\n"),
    Situation("no errors", 'rinha count --url "$URL" 2>&-', 0, r"\d+\n"),
    Situation("no errors for a refusal", "rinha get --url http://localhost:1 x 2>&-", 1, ""),
    Situation("no streams at all", 'rinha count --url "$URL" <&- >&- 2>&-', 1, ""),
    Situation("statements without input", "rinha sql $STACK <&-", 1, "mysql: .*\n"),
    Situation("a directory that is gone", 'cd "$(mktemp -d)"; rmdir "$PWD"; rinha count --url "$URL"', 0, r"\d+\n"),
    Situation("a path in a directory that is gone", 'cd "$(mktemp -d)"; rmdir "$PWD"; rinha status --data x', 1,
              "rinha: .*: No such file or directory\n"),
    Situation("no directory", "rinha status --data ''", 2, "usage: (?s:.*)--data: .*\n"),
    # Terminals.
    *(
        Situation(f"help on a terminal of {columns!r} columns", "rinha --help; rinha up --help; rinha bench --help", 0,
                  "usage: (?s:.*)--runs (?s:.*)\n", {"COLUMNS": columns})
        for columns in ("", "0", "1", "10", "x", "-5", "1000000")
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def nickname(stack: RunningStack) -> str:
    """Return the nickname of a person whose name has characters outside ASCII."""
    nickname = new_nickname()
    assert create_person(stack.wire, apelido=nickname, nome=NAME).status == 201
    return nickname


def environment(stack: RunningStack, nickname: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a shell."""
    options = " ".join(stack.options)
    names = {"URL": f"http://localhost:{stack.port}", "STACK": options, "NICKNAME": nickname}
    return {**ops_environment(), **names, **variables}


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_a_command_works_or_says_in_one_line_why_not(stack: RunningStack, nickname: str, situation: Situation) -> None:
    completed = subprocess.run(
        ["bash", "-c", SHELL + situation.script],
        env=environment(stack, nickname, situation.variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
    )

    seen = completed.stdout.decode(situation.variables.get("PYTHONIOENCODING", "utf-8").partition(":")[0])
    assert "Traceback" not in seen
    # bash itself complains about a locale that the machine lacks.
    seen = re.sub(r"bash: .*setlocale.*\n", "", seen)
    assert re.fullmatch(situation.seen.replace("$NICKNAME", nickname), seen), seen
    assert completed.returncode == situation.status


def test_no_option_of_any_command_can_be_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    """`up --det` started processes without end: each took itself for the one in the foreground."""
    (commands,) = (action.choices for action in parser()._actions if isinstance(action.choices, dict))
    for command, subparser in commands.items():
        options = [option for option in subparser._option_string_actions if option.startswith("--")]
        for abbreviation in {option[:end] for option in options for end in range(3, len(option))} - {*options}:
            with pytest.raises(SystemExit) as ended:
                subparser.parse_args([abbreviation, "1", "2", "2000-01-01"])
            assert ended.value.code == 2, f"{command} {abbreviation}"
    capsys.readouterr()


def test_every_parser_refuses_abbreviations() -> None:
    paths = [path for name in ("service", "ops", "bench", "tests") for path in (ROOT / name).glob("**/*.py")]
    made = [found for path in paths for found in re.findall(r"ArgumentParser\((.*\n?.*)\)", path.read_text())]

    assert len(made) > 3
    assert not [arguments for arguments in made if "allow_abbrev=False" not in arguments]


def test_json_in_an_encoding_without_its_characters_is_json(stack: RunningStack, nickname: str) -> None:
    command = ops_command("search", "--json", "--url", f"http://localhost:{stack.port}", nickname)
    variables = {**ops_environment(), "PYTHONIOENCODING": "ascii"}

    completed = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT)

    assert [person["nome"] for person in json.loads(completed.stdout)] == [NAME]
