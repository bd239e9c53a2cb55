"""The rules by promtool, and that each has its tests, a severity and a runbook that exists."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
PROMETHEUS = REPOSITORY / "monitoring" / "prometheus"
RULE_FILES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TEST_FILES = sorted((PROMETHEUS / "tests").glob("*.yml"))
# The dead man's switch has no quiet: its silence is the alarm.
NEVER_QUIET = {"Watchdog"}


def promtool(*words: object) -> None:
    done = subprocess.run(
        ["promtool", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def rules() -> list[dict[str, Any]]:
    groups = [g for path in RULE_FILES for g in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDS = sorted(rule["record"] for rule in rules() if "record" in rule)


@cache
def cases() -> list[dict[str, Any]]:
    return [case for path in TEST_FILES for case in yaml.safe_load(path.read_text())["tests"]]


@cache
def anchors() -> set[str]:
    """The anchors of the headings of OPERATIONS.md, as the usual renderers make them."""
    text = (REPOSITORY / "docs" / "OPERATIONS.md").read_text()
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_rules_are_valid() -> None:
    assert RULE_FILES
    promtool("check", "rules", *RULE_FILES)


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: str(path.stem))
def test_they_do_what_their_tests_say(path: Path) -> None:
    promtool("test", "rules", path)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_seen_to_fire_and_to_stay_quiet(alert: str) -> None:
    found = [
        bool(test.get("exp_alerts"))
        for case in cases()
        for test in case.get("alert_rule_test", [])
        if test["alertname"] == alert
    ]
    assert set(found) == {True, False} - ({False} if alert in NEVER_QUIET else set())


@pytest.mark.parametrize("record", RECORDS)
def test_what_is_recorded_is_tested(record: str) -> None:
    expressions = [test["expr"] for case in cases() for test in case.get("promql_expr_test", [])]
    assert any(record in expression for expression in expressions)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_grave_it_is_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    told = rule["annotations"]
    assert len(told["summary"]) < 80
    assert len(told["description"]) > 20
    page, _, anchor = told["runbook_url"].partition("#")
    assert page == "docs/OPERATIONS.md"
    assert anchor == alert.lower()
    assert anchor in anchors()


def test_names_are_used_once() -> None:
    names = [rule.get("alert") or rule["record"] for rule in rules()]
    assert len(names) == len(set(names))
