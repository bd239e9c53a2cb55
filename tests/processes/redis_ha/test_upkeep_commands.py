"""`redis-ha maintenance` and `redis-ha checklist` on real servers, with a record between them."""

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from redis_ha.upkeep.record import Deed, note, read_record
from tests.processes.cluster import REPOSITORY
from tests.processes.monitoring.watched import Watched
from tests.processes.redis_ha.operator_command import OperatorCommand
from tests.watch import fetch

NOWHERE = ("--prometheus", "http://127.0.0.1:1")


@pytest.fixture
def keeper(operator: OperatorCommand, tmp_path: Path) -> OperatorCommand:
    """Give an operator whose record is the test's own."""
    operator.settings["XDG_STATE_HOME"] = str(tmp_path / "state")
    return operator


def tasks(keeper: OperatorCommand, *words: str) -> dict[str, str]:
    found = keeper.json("maintenance", *words, code=1)["tasks"]
    return {one["task"]: one["state"] for one in found}


def good_tests(*, cluster: tuple[str, ...] = ()) -> list[Deed]:
    now = datetime.now(UTC)
    return [
        Deed(f"failover-test {fault}", now, True, "1 of 1 passed", cluster)
        for fault in ("crash", "partition")
    ]


def items(report: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Give each item's findings: state and reason."""
    found: dict[str, list[tuple[str, str]]] = {}
    for item in report["items"]:
        found.setdefault(item["check"], []).append((item["state"], item["reason"]))
    return found


def test_what_was_done_is_not_due_and_what_fails_is(keeper: OperatorCommand) -> None:
    assert set(tasks(keeper).values()) == {"due"}
    assert tasks(keeper, "--done", "versions", "--note", "all current")["versions"] == "done"
    record = Path(keeper.json("maintenance", code=1)["record"])
    (versions,) = read_record(record)
    assert len(versions.cluster) == len(keeper.cluster.sentinels)
    # A cluster that was made anew at the same addresses.
    note(record, *good_tests(cluster=("d" * 40,)))
    assert tasks(keeper)["failover-test"] == "due"
    note(record, *good_tests(cluster=versions.cluster[:1]))
    assert tasks(keeper)["failover-test"] == "done"
    keeper.cluster.wait_for(lambda: keeper.run("ready").returncode == 0)
    # These servers run in no container, whose logs could be read.
    ran = tasks(keeper, "--run")
    assert (ran["health"], ran["logs"], ran["failover-test"]) == ("done", "failed", "done")
    (health,) = (deed for deed in read_record(record) if deed.task == "health")
    assert health.evidence.startswith("health: exit code 0, ")
    keeper.cluster.replicas[0].kill()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    record.write_text(json.dumps({"version": 1, "deeds": []}))
    assert tasks(keeper, "--run")["health"] == "failed"


def test_the_checklist_leaves_a_signed_report(keeper: OperatorCommand) -> None:
    record = Path(keeper.json("maintenance", code=1)["record"])
    note(record, *good_tests())
    done = keeper.run("checklist", *NOWHERE, "--report", "reports")
    assert done.returncode == 1, "neither monitoring nor backup is here"
    states = dict(line.split("\t")[:2] for line in done.stdout.splitlines())
    assert states == {
        **dict.fromkeys(("sentinels", "quorum", "partition tested"), "ok"),
        **dict.fromkeys(("failover verified", "baselines"), "ok"),
        **dict.fromkeys(("monitoring", "alerts", "backup", "recovery tested"), "unknown"),
        "documents": "bad",
    }
    (report,) = (keeper.directory / "reports").iterdir()
    checked = keeper.run("checklist", "--verify", str(report))
    assert (checked.returncode, "not passed" in checked.stdout) == (0, True)
    signed = json.loads(report.read_text())
    assert signed["report"]["evidence"]["baseline"]["latency"]["samples"] > 0
    signed["report"]["passed"] = True
    report.write_text(json.dumps(signed))
    forged = keeper.run("checklist", "--verify", str(report))
    assert forged.returncode == 1
    assert "changed after it was signed" in forged.stderr


def with_webhook(watched: Watched, url: str) -> None:
    config = watched.plan.config
    monitoring = replace(config.monitoring, alert_webhook=url)
    watched.plan = replace(watched.plan, config=replace(config, monitoring=monitoring))
    watched.end("alertmanager")
    watched.begin("alertmanager")
    status = f"{watched.watch.alertmanager}/api/v2/status"
    watched.until(lambda: bool(fetch(status)), 20, "it answers again")


def test_a_prometheus_that_calls_nobody_is_told(keeper: OperatorCommand, tmp_path: Path) -> None:
    with Watched.start(keeper.cluster, tmp_path / "watched") as watched:
        watched.until(watched.watch.settled, 40, "every target is up")
        words = ("checklist", "--prometheus", watched.watch.prometheus)
        words = (*words, "--documents", str(REPOSITORY / "docs"))
        found = items(keeper.json(*words, code=1))
        assert [state for state, _ in found["monitoring"]] == ["ok"]
        assert any("nobody is called" in reason for _, reason in found["alerts"])
        assert [state for state, _ in found["documents"]] == ["ok"]
        assert found["baselines"] == [("unknown", "measured, not recorded")]
        with_webhook(watched, "http://127.0.0.1:1/")
        found = items(keeper.json(*words, code=1))
        assert not any("nobody is called" in reason for _, reason in found["alerts"])


def test_a_cluster_that_is_silent_has_a_report_too(keeper: OperatorCommand) -> None:
    for sentinel in keeper.cluster.sentinels:
        sentinel.kill()
    done = keeper.run("checklist", *NOWHERE, "--report", "reports")
    assert done.returncode == 1, done.stderr
    assert "no sentinel answers" in done.stderr
    (path,) = (keeper.directory / "reports").iterdir()
    found = items(json.loads(path.read_text())["report"])
    for item in ("sentinels", "quorum", "baselines"):
        assert {state for state, _ in found[item]} == {"bad"}
