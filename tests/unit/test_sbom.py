"""What pip-audit reports is told as it is: a package that nobody was asked about is not called safe."""

import json

import pytest

from ops.sbom import AuditResult, read_audit

PACKAGES = ["falcon 4.4.0", "ujson 6.1.0"]
SAFE = {"name": "falcon", "version": "4.4.0", "vulns": []}
VULNERABLE = {"name": "ujson", "version": "6.1.0", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}
UNKNOWN = {"name": "ujson", "skip_reason": "not found"}
KNOWN = ["ujson 6.1.0: PYSEC-1", "ujson 6.1.0: PYSEC-2"]


@pytest.mark.parametrize(
    ("dependencies", "verdict"),
    [
        ([SAFE, {**VULNERABLE, "vulns": []}], AuditResult([], [], "pip-audit left them out")),
        ([SAFE, VULNERABLE], AuditResult(KNOWN, [], "pip-audit left them out")),
        ([SAFE, UNKNOWN], AuditResult([], ["ujson 6.1.0"], "not found")),
        ([VULNERABLE], AuditResult(KNOWN, PACKAGES[:1], "pip-audit left them out")),
        ([], AuditResult([], PACKAGES, "pip-audit left them out")),
    ],
)  # fmt: skip
def test_a_report_is_told_as_it_is(dependencies: list[object], verdict: AuditResult) -> None:
    assert read_audit(PACKAGES, json.dumps({"dependencies": dependencies, "fixes": []}), "") == verdict


def test_a_service_that_cannot_be_reached_has_audited_nothing() -> None:
    assert read_audit(PACKAGES, "", "Traceback\nConnectionError: no route\n") == AuditResult(
        [], PACKAGES, "ConnectionError: no route"
    )
