"""The calendar, the checklist, and what both rest on: a record, a Prometheus, a signature."""

import hashlib
import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from redis_ha.backup_report import BackupReport
from redis_ha.errors import BadSetting
from redis_ha.failover_test.expectation import LiveSettings
from redis_ha.failover_test.outcome import Outcome
from redis_ha.failover_test.summary import judged
from redis_ha.findings import State
from redis_ha.round_trip import Samples
from redis_ha.stats import compute
from redis_ha.upkeep.calendar import TASKS, standings
from redis_ha.upkeep.checklist import DOCUMENTS, Facts, is_passed, judge_checklist
from redis_ha.upkeep.failover_tests import deeds_of
from redis_ha.upkeep.record import KEPT, Deed, kept, note, read_record
from redis_ha.upkeep.signing import problem_of, sign, the_key
from redis_ha.upkeep.watching import Watch, ask_prometheus
from tests.unit.redis_ha.failover_test.runs import crash
from tests.unit.redis_ha.surveys import HEALTHY

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def deed(task: str, *, days_ago: float, passed: bool = True) -> Deed:
    return Deed(task, NOW - days_ago * DAY, passed, "seen")


TESTED = (deed("failover-test crash", days_ago=3), deed("failover-test partition", days_ago=3))
FINE = Facts(
    survey=HEALTHY,
    stats=compute(HEALTHY, Samples((0.001,) * 10)),
    backup=BackupReport("s1", 60.0, 50.0, running=True, interval=3600.0),
    watch=Watch(targets=8, rules=20, managers=1),
    deeds=TESTED,
    documents=dict.fromkeys(DOCUMENTS, "hash"),
    now=NOW,
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


def test_a_record_is_added_to_by_several_at_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "state" / "record.json"
    threads = [
        threading.Thread(target=note, args=(path, deed(f"task {n}", days_ago=n))) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.task for one in read_record(path)} == {f"task {n}" for n in range(20)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_fails_each_five_minutes_pushes_no_proof_out(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    proofs = (*TESTED, deed("review", days_ago=200), deed("health", days_ago=7))
    failing = [deed("health", days_ago=6 - n / 288, passed=False) for n in range(KEPT + 200)]
    note(path, deed("review", days_ago=300), *proofs, *failing)
    assert read_record(path) == (*proofs, *failing[-KEPT:])


def test_the_newest_is_kept_by_its_time_and_not_by_its_place() -> None:
    old, new = deed("review", days_ago=200), deed("review", days_ago=100)
    rest = [deed("health", days_ago=0.5)] * KEPT
    assert kept((new, old, *rest)) == (new, *rest)
    assert kept((old, new)) == (old, new)


def test_a_fault_that_broke_off_is_a_failed_deed() -> None:
    settings = LiveSettings(down_after=2.0, min_replicas=1, max_lag=1.0)
    outcome = Outcome([judged(crash(), settings)], "NoMaster: none", broken="hang")
    made = {one.task: one for one in deeds_of(outcome, now=NOW, report=None)}
    assert made["failover-test crash"].passed
    assert not made["failover-test hang"].passed
    assert made["failover-test hang"].evidence.endswith("had begun: NoMaster: none")


@pytest.mark.parametrize(
    "text", ["{", '{"version": 2, "deeds": []}', '{"version": 1, "deeds": [1]}']
)
def test_a_damaged_record_is_told_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(BadSetting, match="move it away"):
        note(path, deed("health", days_ago=0))
    assert path.read_text() == text


def test_a_place_that_can_hold_no_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(BadSetting, match="set XDG_STATE_HOME") as refused:
        note(tmp_path / "state" / "redis-ha" / "record.json", deed("health", days_ago=0))
    assert "record.json" in str(refused.value)


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
        ("monitoring", {"watch": Watch(targets=8, down=("10.0.0.1:1",), rules=1, managers=1)}),
        ("monitoring", {"watch": Watch(problem="nobody listens")}),
        ("alerts", {"watch": Watch(targets=8, rules=20)}),
        ("alerts", {"watch": Watch(targets=8, managers=1)}),
        ("backup", {"backup": BackupReport("s1", 60.0, 50.0, troubles=("the log has a gap",))}),
        ("backup", {"backup": BackupReport(absent="no backup is set up here")}),
        ("recovery tested", {"backup": BackupReport("s1", 60.0, running=True)}),
        (
            "recovery tested",
            {"backup": BackupReport("s1", 60.0, 9000.0, running=True, interval=3600.0)},
        ),
        ("baselines", {"stats": compute(HEALTHY, Samples((), ("it hangs",)))}),
        ("documents", {"documents": {}}),
    ],
)
def test_what_lacks_fails_its_item(check: str, changed: dict[str, Any]) -> None:
    findings = judge_checklist(replace(FINE, **changed))
    assert not is_passed(findings)
    assert any(f.check == check and f.state in (State.BAD, State.UNKNOWN) for f in findings)


def test_alerts_that_fire_are_told_and_pass() -> None:
    firing = replace(FINE, watch=replace(FINE.watch, firing=("RedisDown",)))
    findings = judge_checklist(firing)
    assert is_passed(findings)
    assert "RedisDown" in next(f.reason for f in findings if f.check == "alerts")


def test_a_report_that_was_changed_is_found_out(tmp_path: Path) -> None:
    key = the_key(tmp_path / "keys" / "signing.pem")
    signed = json.loads(json.dumps(sign({"passed": False, "at": "2026-03-01"}, key)))
    signer = signed["signature"]["signer"]
    assert problem_of(signed, signer=signer) == ""
    assert the_key(tmp_path / "keys" / "signing.pem").public_key() == key.public_key()
    assert stat.S_IMODE((tmp_path / "keys" / "signing.pem").stat().st_mode) == 0o600
    assert "changed" in problem_of({**signed, "report": {**signed["report"], "passed": True}})
    other = sign(signed["report"], the_key(tmp_path / "other.pem"))
    assert "not by" in problem_of(other, signer=signer)
    for broken in (None, [], {}, {"report": {}, "signature": {"algorithm": "none"}}):
        assert problem_of(broken)


class _Api(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, Any]] = {
        "targets": {
            "activeTargets": [
                {"labels": {"instance": "a:1"}, "health": "up"},
                {"labels": {"instance": "b:2"}, "health": "down"},
            ]
        },
        "rules": {
            "groups": [
                {
                    "rules": [
                        {"name": "Down", "state": "firing"},
                        {"name": "Slow", "state": "inactive"},
                        {"name": "Watchdog", "state": "firing"},
                    ]
                }
            ]
        },
        "alertmanagers": {"activeAlertmanagers": [{"url": "http://c:3/api/v2/alerts"}]},
    }

    def do_GET(self) -> None:
        word = self.path.removeprefix("/api/v1/").partition("?")[0]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "success", "data": self.answers[word]}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def api() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_prometheus_is_asked_for_targets_rules_and_managers() -> None:
    with api() as url:
        seen = ask_prometheus(url)
    assert seen == Watch(targets=2, down=("b:2",), rules=3, firing=("Down",), managers=1)


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("targets", {"activeTargets": {"a": 1}}),
        ("targets", {"activeTargets": [1]}),
        ("targets", {"activeTargets": [{"labels": [], "health": "down"}]}),
        ("targets", []),
        ("rules", {"groups": [{"rules": ["Down"]}]}),
        ("rules", {"groups": [{"rules": None}]}),
        ("alertmanagers", {"activeAlertmanagers": "three"}),
        ("alertmanagers", None),
    ],
)
def test_one_that_answers_otherwise_is_unknown(
    what: str, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_Api.answers, what, answer)
    with api() as url:
        assert url in ask_prometheus(url).problem


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://127.0.0.1", "nonsense"])
def test_one_that_cannot_be_asked_is_unknown(url: str) -> None:
    assert ask_prometheus(url).problem
