"""The audit of the packages reports a package that pip-audit did not look up as not audited."""

import json
import re

import pytest

from ops import REQUIREMENTS, ROOT
from ops.sbom import AuditResult, read_audit

PACKAGES = ["falcon 4.4.0", "ujson 6.1.0"]
SAFE = {"name": "falcon", "version": "4.4.0", "vulns": []}
VULNERABLE = {"name": "ujson", "version": "6.1.0", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}
UNKNOWN = {"name": "ujson", "skip_reason": "not found"}
VULNERABILITIES = ["ujson 6.1.0: PYSEC-1", "ujson 6.1.0: PYSEC-2"]


@pytest.mark.parametrize(
    ("dependencies", "result"),
    [
        ([SAFE, {**VULNERABLE, "vulns": []}], AuditResult([], [], "pip-audit left them out")),
        ([SAFE, VULNERABLE], AuditResult(VULNERABILITIES, [], "pip-audit left them out")),
        ([SAFE, UNKNOWN], AuditResult([], ["ujson 6.1.0"], "not found")),
        ([VULNERABLE], AuditResult(VULNERABILITIES, PACKAGES[:1], "pip-audit left them out")),
        ([], AuditResult([], PACKAGES, "pip-audit left them out")),
    ],
)
def test_the_result_names_vulnerabilities_and_packages_that_were_not_audited(
    dependencies: list[object], result: AuditResult
) -> None:
    assert read_audit(PACKAGES, json.dumps({"dependencies": dependencies, "fixes": []}), "") == result


def test_every_file_of_requirements_that_a_host_or_an_image_installs_is_listed() -> None:
    installed = {
        name
        for file in ("rinha", "Containerfile")
        for name in re.findall(r"requirements[a-z-]*\.txt", (ROOT / file).read_text())
    }

    assert installed == set(REQUIREMENTS)


def test_no_package_is_audited_if_the_service_cannot_be_reached() -> None:
    result = read_audit(PACKAGES, "", "Traceback\nConnectionError: no route\n")

    assert result == AuditResult([], PACKAGES, "ConnectionError: no route")
