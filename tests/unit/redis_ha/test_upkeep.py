"""The calendar and the checklist, on deeds and on what was seen."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from redis_ha.backup_report import BackupReport, Snapshot
from redis_ha.cli.main import execute
from redis_ha.failover_test.expectation import LiveSettings
from redis_ha.failover_test.outcome import Outcome
from redis_ha.failover_test.summary import judged
from redis_ha.findings import State
from redis_ha.round_trip import Samples
from redis_ha.stats import compute
from redis_ha.upkeep.calendar import TASKS, standings
from redis_ha.upkeep.checklist import Facts, is_passed, judge_checklist
from redis_ha.upkeep.documents import DOCUMENTS, Document, parse_document, read_documents
from redis_ha.upkeep.failover_tests import deeds_of
from redis_ha.upkeep.record import Deed
from redis_ha.upkeep.watching import Manager, Watch
from tests.unit.redis_ha.failover_test.runs import crash
from tests.unit.redis_ha.surveys import HEALTHY, IDS, silent

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def deed(task: str, *, days_ago: float, passed: bool = True) -> Deed:
    return Deed(task, NOW - days_ago * DAY, passed, "seen")


TESTED = (deed("failover-test crash", days_ago=3), deed("failover-test partition", days_ago=3))
WATCH = Watch(
    targets=tuple(str(member.address) for member in HEALTHY.members),
    rules=("RedisDown", "Watchdog"),
    managers=(Manager("http://c:3", ("operator (webhook)",)),),
)
RUNBOOKS = Document("hash", frozenset(WATCH.rules))
FINE = Facts(
    survey=HEALTHY,
    stats=compute(HEALTHY, Samples((0.001,) * 10)),
    backup=BackupReport("s1", 60.0, 50.0, running=True, interval=3600.0),
    snapshots=(Snapshot("s2", NOW.timestamp(), "not proven"), Snapshot("s1", 0.0, "proven")),
    watch=WATCH,
    deeds=TESTED,
    documents=dict.fromkeys(DOCUMENTS, RUNBOOKS),
    now=NOW,
    recorded=True,
)


def due(*deeds: Deed) -> dict[str, bool]:
    return {one.task.name: one.due for one in standings(deeds, now=NOW)}


def test_all_is_due_at_first_and_each_again_in_its_time() -> None:
    assert all(due().values())
    assert not due(deed("health", days_ago=0.5))["health"]
    assert due(deed("health", days_ago=1))["health"]
    assert not due(deed("review", days_ago=300))["review"]
    assert due(deed("review", days_ago=365))["review"]


def test_what_failed_is_due_until_it_ends_well() -> None:
    good, bad = deed("logs", days_ago=2), deed("logs", days_ago=1, passed=False)
    assert due(good, bad)["logs"]
    assert not due(bad, deed("logs", days_ago=0.5))["logs"]


def test_the_failover_test_needs_every_fault() -> None:
    crash, partition = TESTED
    assert due(crash)["failover-test"]
    assert not due(crash, partition)["failover-test"]
    assert due(crash, replace(partition, at=NOW - 31 * DAY))["failover-test"]


def test_no_task_that_hurts_is_run_unasked() -> None:
    harmless = {words[0] for task in TASKS if task.harmless for words in task.commands}
    assert harmless == {"health", "ready", "doctor", "events", "logs"}


def test_a_fault_that_broke_off_is_a_failed_deed() -> None:
    settings = LiveSettings(down_after=2.0, min_replicas=1, max_lag=1.0)
    outcome = Outcome([judged(crash(), settings)], "NoMaster: none", broken="hang")
    made = {one.task: one for one in deeds_of(outcome, now=NOW, report=None)}
    assert made["failover-test crash"].passed
    assert not made["failover-test hang"].passed
    assert made["failover-test hang"].evidence.endswith("had begun: NoMaster: none")


def test_a_failover_test_leaves_a_deed_for_each_fault(tmp_path: Path) -> None:
    settings = LiveSettings(down_after=2.0, min_replicas=1, max_lag=1.0)
    page = tmp_path / "report.html"
    page.write_text("a picture")
    good, slow = crash(), crash(back_after=9.0, fault="hang")
    runs = [judged(run, settings) for run in (good, good, slow)]
    made = {one.task: one for one in deeds_of(Outcome(runs), now=NOW, report=page)}
    assert {task: one.passed for task, one in made.items()} == {
        "failover-test crash": True,
        "failover-test hang": False,
    }
    evidence = made["failover-test crash"].evidence
    assert evidence.startswith("2 of 2 passed, outage at worst 3.0")
    assert hashlib.sha256(b"a picture").hexdigest() in evidence


def test_a_cluster_that_has_all_passes() -> None:
    findings = judge_checklist(FINE)
    assert is_passed(findings), findings
    assert len({finding.check for finding in findings}) == 10
    json.dumps(FINE.evidence())


@pytest.mark.parametrize(
    ("check", "changed"),
    [
        ("sentinels", {"survey": replace(HEALTHY, sentinels=HEALTHY.sentinels[:2])}),
        (
            "quorum",
            {
                "survey": replace(
                    HEALTHY, sentinels=tuple(replace(s, quorum=1) for s in HEALTHY.sentinels)
                )
            },
        ),
        ("partition tested", {"deeds": TESTED[:1]}),
        (
            "failover verified",
            {"deeds": (*TESTED, deed("failover-test crash", days_ago=1, passed=False))},
        ),
        ("failover verified", {"deeds": (deed("failover-test crash", days_ago=100), TESTED[1])}),
        (
            "partition tested",
            {
                "deeds": (
                    *TESTED,
                    deed("failover-test partition", days_ago=2, passed=False),
                    deed("failover-test partition", days_ago=-300),
                )
            },
        ),
        ("failover verified", {"deeds": (replace(TESTED[0], cluster=("d" * 40,)), TESTED[1])}),
        ("monitoring", {"watch": replace(WATCH, down=("10.0.0.1:1",))}),
        ("monitoring", {"watch": replace(WATCH, targets=WATCH.targets[1:])}),
        ("monitoring", {"watch": replace(WATCH, targets=("10.9.9.9:1",))}),
        ("monitoring", {"watch": Watch(problem="nobody listens")}),
        ("alerts", {"watch": replace(WATCH, managers=())}),
        ("alerts", {"watch": replace(WATCH, managers=(Manager("http://c:3"),))}),
        ("alerts", {"watch": replace(WATCH, managers=(Manager("http://c:3", problem="away"),))}),
        ("alerts", {"watch": replace(WATCH, rules=())}),
        ("alerts", {"watch": replace(WATCH, critical=("RedisDown",))}),
        ("backup", {"backup": BackupReport("s1", 60.0, 50.0, troubles=("the log has a gap",))}),
        ("backup", {"backup": BackupReport(absent="no backup is set up here")}),
        ("recovery tested", {"backup": BackupReport("s1", 60.0, running=True)}),
        (
            "recovery tested",
            {"backup": BackupReport("s1", 60.0, 9000.0, running=True, interval=3600.0)},
        ),
        ("baselines", {"stats": compute(HEALTHY, Samples((), ("it hangs",)))}),
        ("baselines", {"recorded": False}),
        ("documents", {"documents": {}}),
        ("documents", {"documents": dict.fromkeys(DOCUMENTS, Document("hash"))}),
    ],
)
def test_what_lacks_fails_its_item(check: str, changed: dict[str, Any]) -> None:
    findings = judge_checklist(replace(FINE, **changed))
    assert not is_passed(findings)
    assert any(f.check == check and f.state in (State.BAD, State.UNKNOWN) for f in findings)


def reason(facts: Facts, check: str) -> str:
    return "; ".join(f.reason for f in judge_checklist(facts) if f.check == check)


def test_alerts_that_fire_are_told_and_pass_unless_they_are_critical() -> None:
    firing = replace(FINE, watch=replace(WATCH, firing=("RedisSlow",)))
    assert is_passed(judge_checklist(firing))
    assert "RedisSlow" in reason(firing, "alerts")
    assert not is_passed(judge_checklist(replace(FINE, watch=replace(WATCH, critical=("Down",)))))


def test_calls_that_were_counted_stand_for_an_alertmanager_out_of_reach() -> None:
    away = replace(WATCH, managers=(Manager("http://c:3", problem="http://c:3 is away"),))
    assert "http://c:3 is away" in reason(replace(FINE, watch=away), "alerts")
    assert not is_passed(judge_checklist(replace(FINE, watch=replace(away, calls=0.0))))
    assert is_passed(judge_checklist(replace(FINE, watch=replace(away, calls=11.9))))
    silent_one = replace(FINE, watch=replace(WATCH, managers=(Manager("http://c:3"),)))
    assert "nobody is called" in reason(silent_one, "alerts")


def test_each_member_that_no_target_is_about_is_named() -> None:
    lacking = replace(FINE, watch=replace(WATCH, targets=WATCH.targets[2:]))
    found = [f.subject for f in judge_checklist(lacking) if f.check == "monitoring"]
    assert found == ["redis-1", "redis-2"]


def test_a_deed_that_is_dated_in_the_future_does_not_count_and_is_told() -> None:
    later = deed("failover-test crash", days_ago=-300)
    ahead = replace(FINE, deeds=(*TESTED, later))
    assert "in the future" in reason(ahead, "failover verified")
    assert is_passed(judge_checklist(ahead))
    soon = replace(later, at=NOW + timedelta(minutes=2))
    assert "future" not in reason(replace(FINE, deeds=(*TESTED, soon)), "failover verified")
    (crash, *_) = [one for one in standings((later,), now=NOW) if one.task.name == "failover-test"]
    assert crash.due
    assert crash.ahead == later


def test_a_deed_counts_on_the_cluster_that_it_was_done_to() -> None:
    own = tuple(replace(one, cluster=(IDS[1], "e" * 40)) for one in TESTED)
    assert is_passed(judge_checklist(replace(FINE, deeds=own)))
    others = [replace(deed("review", days_ago=1), cluster=("d" * 40,))]
    by_name = {one.task.name: one for one in standings(others, now=NOW, cluster=IDS)}
    assert by_name["review"].due
    assert not {o.task.name: o for o in standings(others, now=NOW)}["review"].due


def test_the_snapshot_that_was_loaded_is_named_with_its_time() -> None:
    assert reason(FINE, "recovery tested") == "s1 was loaded whole 2026-03-01 08:59 UTC"
    unknown = replace(FINE, snapshots="the store is away")
    assert "which isn't known: the store is away" in reason(unknown, "recovery tested")


def test_a_cluster_that_is_silent_is_judged() -> None:
    survey = silent(silent(silent(HEALTHY, 0), 1), 2)
    facts = replace(FINE, survey=replace(survey, nodes=()))
    bad = {f.check for f in judge_checklist(facts) if f.state is State.BAD}
    assert bad >= {"sentinels", "quorum"}
    assert "sentinel-2: nobody listens there" in reason(facts, "sentinels")
    json.dumps(facts.evidence())


def test_a_document_counts_with_something_in_it(tmp_path: Path) -> None:
    text = "# Operations\n\n### `RedisDown`, RedisSlow\nLook.\n"
    (tmp_path / DOCUMENTS[0]).write_text("")
    (tmp_path / DOCUMENTS[1]).write_text(text)
    (tmp_path / DOCUMENTS[2]).write_text("# Security\n\n")
    found = read_documents(tmp_path)
    assert set(found) == {"OPERATIONS.md"}
    assert found["OPERATIONS.md"].headings >= {"RedisDown", "RedisSlow"}
    assert found["OPERATIONS.md"].sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert parse_document(b"RedisDown\n\xff\n") is not None


def test_an_alert_without_a_runbook_is_named() -> None:
    more = replace(FINE, watch=replace(WATCH, rules=(*WATCH.rules, "RedisSlow")))
    assert reason(more, "documents").endswith("no heading for RedisSlow")


@pytest.mark.parametrize("task", [task.name for task in TASKS if task.commands])
def test_what_notes_itself_is_not_noted_by_hand(
    task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["maintenance", "--done", task, "--note", "done"]) == 2
    said = capsys.readouterr().err
    assert "notes itself" in said
    assert "versions, review" in said
