"""What the service is made of, and whether a vulnerability of it is known: `tox -e sbom`.

Writes the bill of materials (CycloneDX) of requirements.txt and asks PyPI's vulnerability service about it. Where
that service cannot be reached, or does not know a package, this says so and fails: not asked is not safe.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from ops import ROOT

SBOM = ROOT / "sbom.cdx.json"
REQUIREMENTS = ROOT / "requirements.txt"


class Verdict(NamedTuple):
    """What is known of the packages: vulnerabilities, and which of them nobody could be asked about, and why."""

    vulnerable: list[str]
    unaudited: list[str]
    reason: str


def main() -> int:
    """Return 0 if all was audited and nothing is known, 1 for a known vulnerability, 2 for what was not audited."""
    parser = argparse.ArgumentParser(prog="python -m ops.sbom", description="Write the SBOM, and audit what is in it.")
    parser.add_argument("--allow-unaudited", action="store_true", help="exit 0 where only the audit could not be made")
    allow_unaudited = parser.parse_args().allow_unaudited
    words = ["requirements", str(REQUIREMENTS), "--output-format", "JSON", "--output-reproducible"]
    subprocess.run([sys.executable, "-m", "cyclonedx_py", *words, "--output-file", str(SBOM)], check=True)
    packages = [f"{one['name']} {one['version']}" for one in json.loads(SBOM.read_text())["components"]]
    print(f"{SBOM.name}: {', '.join(packages)}")
    words = ["--require-hashes", "--disable-pip", "--requirement", str(REQUIREMENTS), "--format", "json"]
    audit = subprocess.run([sys.executable, "-m", "pip_audit", *words], capture_output=True, text=True)
    vulnerable, unaudited, reason = judge(packages, audit.stdout, audit.stderr)
    print(f"audited: {len(packages) - len(unaudited)} of {len(packages)}; vulnerabilities known: {len(vulnerable)}")
    for line in vulnerable:
        print(f"VULNERABLE: {line}")
    if unaudited:
        print(f"NOT AUDITED: {', '.join(unaudited)} ({reason})")
    return 1 if vulnerable else 2 if unaudited and not allow_unaudited else 0


def judge(packages: Sequence[str], report: str, errors: str) -> Verdict:
    """Return what pip-audit's report, and what it wrote to its standard error, tell of the packages.

    By itself it succeeds where the service knows none of them.
    """
    try:
        dependencies = json.loads(report)["dependencies"]
    except ValueError:
        return Verdict([], list(packages), (errors.strip().splitlines() or ["pip-audit said nothing"])[-1])
    asked = {f"{one['name']} {one['version']}": one["vulns"] for one in dependencies if "skip_reason" not in one}
    reasons = [one["skip_reason"] for one in dependencies if "skip_reason" in one]
    return Verdict(
        [f"{package}: {known['id']}" for package, vulnerabilities in asked.items() for known in vulnerabilities],
        [package for package in packages if package not in asked],
        (reasons or ["pip-audit left them out"])[0],
    )


if __name__ == "__main__":
    sys.exit(main())
