"""What pip-audit reports is told as it is: a package that nobody was asked about is not called safe."""

import json

import pytest

from ops.sbom import Verdict, judge

PACKAGES = ["falcon 4.4.0", "ujson 6.1.0"]
SAFE = {"name": "falcon", "version": "4.4.0", "vulns": []}
VULNERABLE = {"name": "ujson", "version": "6.1.0", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}
UNKNOWN = {"name": "ujson", "skip_reason": "not found"}
KNOWN = ["ujson 6.1.0: PYSEC-1", "ujson 6.1.0: PYSEC-2"]


@pytest.mark.parametrize(
    ("dependencies", "verdict"),
    [
        ([SAFE, {**VULNERABLE, "vulns": []}], Verdict([], [], "pip-audit left them out")),
        ([SAFE, VULNERABLE], Verdict(KNOWN, [], "pip-audit left them out")),
        ([SAFE, UNKNOWN], Verdict([], ["ujson 6.1.0"], "not found")),
        ([VULNERABLE], Verdict(KNOWN, PACKAGES[:1], "pip-audit left them out")),
        ([], Verdict([], PACKAGES, "pip-audit left them out")),
    ],
)  # fmt: skip
def test_a_report_is_told_as_it_is(dependencies: list[object], verdict: Verdict) -> None:
    assert judge(PACKAGES, json.dumps({"dependencies": dependencies, "fixes": []}), "") == verdict


def test_a_service_that_cannot_be_reached_has_audited_nothing() -> None:
    assert judge(PACKAGES, "", "Traceback\nConnectionError: no route\n") == Verdict(
        [], PACKAGES, "ConnectionError: no route"
    )
