"""Writes the bill of materials of what `./rinha` installs, and audits its packages for known vulnerabilities.

The bill of materials (CycloneDX) lists the Python packages of the service, of the commands and of the API browser. The
image of an instance has those of the service only. MySQL, nginx and the packages of tests are not listed.
pip-audit looks the packages up in PyPI's vulnerability service. A package that could not be looked up is reported as
not audited, and is not called safe.
`tox -e sbom` runs this module.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from ops import REQUIREMENTS, ROOT, environment

SBOM = ROOT / "sbom.cdx.json"


class AuditResult(NamedTuple):
    """The known vulnerabilities, as `package: id`; the packages that were not audited; and the reason for these."""

    vulnerable: list[str]
    unaudited: list[str]
    reason: str


def main() -> int:
    """Return 0 if no audited package has a known vulnerability, 1 if one has, 2 if a package was not audited."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="python -m ops.sbom", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--allow-unaudited", action="store_true", help="exit 0 if packages were not audited and none is vulnerable"
    )
    allow_unaudited = parser.parse_args().allow_unaudited
    packages = _write_sbom()
    print(f"{SBOM.name}: {', '.join(packages)}")
    result = _audit(packages)
    audited = len(packages) - len(result.unaudited)
    print(f"audited: {audited} of {len(packages)}; vulnerabilities known: {len(result.vulnerable)}")
    for line in result.vulnerable:
        print(f"VULNERABLE: {line}")
    if result.unaudited:
        print(f"NOT AUDITED: {', '.join(result.unaudited)} ({result.reason})")
    if result.vulnerable:
        return 1
    return 2 if result.unaudited and not allow_unaudited else 0


def read_audit(packages: Sequence[str], output: str, errors: str) -> AuditResult:
    """Return the result for `packages`, from what pip-audit wrote to standard output and to standard error.

    pip-audit's exit status is 0 even if its service knows none of the packages, so the status does not count.
    """
    try:
        dependencies = json.loads(output)["dependencies"]
    except ValueError:
        return AuditResult([], list(packages), (errors.strip().splitlines() or ["pip-audit printed nothing"])[-1])
    audited = {f"{one['name']} {one['version']}": one["vulns"] for one in dependencies if "skip_reason" not in one}
    reasons = [one["skip_reason"] for one in dependencies if "skip_reason" in one]
    return AuditResult(
        [f"{package}: {one['id']}" for package, vulnerabilities in audited.items() for one in vulnerabilities],
        [package for package in packages if package not in audited],
        (reasons or ["pip-audit left them out"])[0],
    )


def _write_sbom() -> list[str]:
    """Write the bill of materials; return its packages, each as `name version`."""
    arguments = ["requirements", "-", "--output-format", "JSON", "--output-reproducible", "--output-file", str(SBOM)]
    requirements = b"\n".join((ROOT / file).read_bytes() for file in REQUIREMENTS)
    command = [sys.executable, "-m", "cyclonedx_py", *arguments]
    subprocess.run(command, env=environment.of_python(), input=requirements, check=True)
    return [f"{one['name']} {one['version']}" for one in json.loads(SBOM.read_text())["components"]]


def _audit(packages: Sequence[str]) -> AuditResult:
    files = [word for file in REQUIREMENTS for word in ("--requirement", str(ROOT / file))]
    arguments = ["--require-hashes", "--disable-pip", *files, "--format", "json"]
    command = [sys.executable, "-m", "pip_audit", *arguments]
    variables = environment.of_python(*environment.HOME, *environment.NETWORK)
    completed = subprocess.run(command, env=variables, capture_output=True, text=True)
    return read_audit(packages, completed.stdout, completed.stderr)


if __name__ == "__main__":
    sys.exit(main())
