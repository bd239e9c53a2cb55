"""`redis-ha maintenance` and `redis-ha checklist` on real servers, with a record between them."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from redis_ha.upkeep.record import Deed, note
from tests.processes.redis_ha.operator_command import OperatorCommand


@pytest.fixture
def keeper(operator: OperatorCommand, tmp_path: Path) -> OperatorCommand:
    """Give an operator whose record is the test's own."""
    operator.settings["XDG_STATE_HOME"] = str(tmp_path / "state")
    return operator


def tasks(keeper: OperatorCommand, *words: str) -> dict[str, str]:
    found = keeper.json("maintenance", *words, code=1)["tasks"]
    return {one["task"]: one["state"] for one in found}


def test_what_was_done_is_not_due_and_what_fails_is(keeper: OperatorCommand) -> None:
    assert set(tasks(keeper).values()) == {"due"}
    assert tasks(keeper, "--done", "versions", "--note", "all current")["versions"] == "done"
    keeper.cluster.wait_for(lambda: keeper.run("ready").returncode == 0)
    # These servers run in no container, whose logs could be read.
    ran = tasks(keeper, "--run")
    assert (ran["health"], ran["logs"], ran["failover-test"]) == ("done", "failed", "due")
    keeper.cluster.replicas[0].kill()
    record = Path(keeper.json("maintenance", code=1)["record"])
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    record.write_text(json.dumps({"version": 1, "deeds": []}))
    assert tasks(keeper, "--run")["health"] == "failed"


def test_the_checklist_leaves_a_signed_report(keeper: OperatorCommand) -> None:
    record = Path(keeper.json("maintenance", code=1)["record"])
    tested = [
        Deed(f"failover-test {fault}", datetime.now(UTC), True, "1 of 1 passed")
        for fault in ("crash", "partition")
    ]
    note(record, *tested)
    nowhere = ("--prometheus", "http://127.0.0.1:1")
    done = keeper.run("checklist", *nowhere, "--report", "reports")
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
