"""A defect of a command is told in one line, which names the file with the details; no traceback is shown."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from ops import ROOT
from tests.support.polling import TIMEOUT
from tests.support.stack import ops_command, ops_environment


class Defect(NamedTuple):
    """A module that fails when it is imported, and what is seen."""

    name: str
    module: str
    seen: str


DEFECTS = (
    Defect("an error", "1 / 0", r"rinha: this is a defect of rinha \(ZeroDivisionError: division by zero\); "),
    Defect("an error of lines", r"raise ValueError('a\nb')", r"rinha: this is a defect of rinha \(ValueError: a b\); "),
    Defect("no error text", "assert 0", r"rinha: this is a defect of rinha \(AssertionError:\); "),
    Defect("endless recursion", "f = lambda: f()\nf()", r"rinha: this is a defect of rinha \(RecursionError: .*\); "),
    Defect("a missing package", "import nonsense", r"rinha: the packages in .* are incomplete .*'nonsense'.*; "),
    Defect("a wrong byte", r"raise ValueError('\udce9')", r"rinha: this is .* rinha \(ValueError: \\udce9\); "),
)  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
@pytest.mark.parametrize("is_writable", [True, False], ids=["writable", "read-only"])
def test_a_defect_is_told_in_one_line_that_names_the_file_with_the_details(
    tmp_path: Path, defect: Defect, is_writable: bool
) -> None:
    """The module takes the place of PyMySQL in a checkout."""
    for name in ("ops", "service", "bench"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "pymysql.py").write_text(defect.module)
    if not is_writable:
        (tmp_path / ".rinha").touch()
    environment = {**ops_environment(tmp_path), "TMPDIR": str(tmp_path)}

    completed = subprocess.run(ops_command("status"), env=environment, capture_output=True, text=True, timeout=TIMEOUT)

    assert completed.returncode == 1
    assert re.fullmatch(rf"{defect.seen}the details are in (\S+)\n", completed.stderr), completed.stderr
    named = Path(completed.stderr.split()[-1])
    assert "Traceback (most recent call last):" in named.read_text()
    assert "pymysql.py" in named.read_text()
    assert named.stat().st_mode & 0o077 == 0
    assert (named == tmp_path / ".rinha/error.log") == is_writable
