"""promtool accepts the configuration and the rules, and plays series through the rules."""

import subprocess

import pytest

from tests.support.prometheus import OBSERVABILITY, RULES, program


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint-fatal", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_passes(arguments: tuple[str, ...]) -> None:
    completed = subprocess.run(
        [*program("promtool"), *arguments], cwd=OBSERVABILITY, capture_output=True, text=True, timeout=60
    )

    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_every_alert_is_tested_by_promtool_and_says_what_to_do() -> None:
    tests = (OBSERVABILITY / "rules_test.yml").read_text()

    for rule in RULES:
        assert f"alertname: {rule['alert']}\n" in tests
        assert {"summary", "action"} == rule["annotations"].keys()
