"""Which engine may follow which, what an upgrade does, and nothing without a way back."""

import json
import sys
from pathlib import Path

import pytest

from infra.changes import WRITES
from redis_ha.backup_report import Snapshot
from redis_ha.cli import upgrade as command
from redis_ha.cli.main import execute
from redis_ha.connection import Address
from redis_ha.site import Member
from redis_ha.upgrade import (
    ENGINES,
    Seen,
    engine_of_node,
    loadable,
    obstacle,
    steps,
    successor,
    unfit,
    way_back,
    writes,
)
from tests.unit.redis_ha.fake_pulumi import FakePulumi, installed

Said = pytest.CaptureFixture[str]
OUTPUTS = {
    "plan": {"engine": "redis-7"},
    "nodes": [
        {"name": f"redis-{n}", "address": "127.0.0.1", "port": n, "role": "data"} for n in (1, 2, 3)
    ],
    "ca": "none",
    "files": {},
    "env": {
        "REDIS_SENTINEL_HOST_1": "127.0.0.1",
        "REDIS_SENTINEL_PORT_1": "1",
        "REDIS_OPERATOR_USERNAME": "operator",
        "REDIS_OPERATOR_PASSWORD": "secret",
        "REDIS_BACKUP_CONTAINER": "backup-worker",
    },
}
PROVEN = {
    "id": "20261130T08",
    "taken_at": "2026-11-30T08:00:00Z",
    "state": "proven",
    "engine": "redis",
    "engine_version": "7.0.15",
}


def seen(deployed: str, *running: str, wanted: str = "") -> Seen:
    return Seen(wanted or deployed, deployed, frozenset(running or {deployed}))


def test_the_engines_are_those_of_the_stack() -> None:
    assert {name: writes(name) for name in ENGINES} == WRITES


@pytest.mark.parametrize(
    ("program", "version", "engine"),
    [
        ("redis", "7.0.15", "redis-7"),
        ("redis", "8.0.2", "redis-8"),
        ("valkey", "8.1.1", "valkey-8"),
        ("redis", "7.2.4", ""),
        ("redis", "", ""),
    ],
)
def test_a_server_is_called_as_the_setting_calls_it(
    program: str, version: str, engine: str
) -> None:
    assert engine_of_node(program, version) == engine


@pytest.mark.parametrize("target", ["redis-7", "valkey-8"])
def test_what_would_not_load_the_data_is_refused(target: str) -> None:
    said = obstacle(target, seen("redis-8"))
    assert "redis-8 wrote the data in RDB version 12" in said
    assert target in said
    # One node that was upgraded already is enough, whatever the last `up` left.
    assert "downgrade" in obstacle(target, seen("redis-7", "redis-7", "redis-8"))


@pytest.mark.parametrize("target", ["redis-7", "redis-8", "valkey-8"])
def test_what_loads_the_data_is_not(target: str) -> None:
    assert obstacle(target, seen("redis-7")) == ""


def test_it_takes_a_snapshot_first_and_ends_once_all_is_done() -> None:
    names = [step.name for step in steps("redis-8", seen("redis-7"))]
    assert names == ["snapshot", "handover", "up"]
    assert [step.name for step in steps("redis-8", seen("redis-7"), backup=False)] == names[1:]
    assert steps("redis-8", seen("redis-8")) == []


def test_one_that_was_interrupted_goes_on_with_the_snapshot_of_before() -> None:
    half = seen("redis-7", "redis-7", "valkey-8", wanted="valkey-8")
    first, last = steps("valkey-8", half)
    assert "of before" in first.does
    assert last.name == "up"
    # Set, but nothing was changed yet: a new one is still the old engine's.
    assert "new snapshot" in steps("valkey-8", seen("redis-7", wanted="valkey-8"))[0].does


def test_no_older_node_follows_a_newer_master() -> None:
    nodes = [Member(f"redis-{n}", Address("10.0.0.1", n)) for n in (1, 2, 3)]
    assert successor(nodes, master=nodes[0].address) == nodes[2]
    assert successor(nodes, master=nodes[2].address) is None


def test_the_way_back_is_a_proven_snapshot_that_the_old_engine_wrote() -> None:
    old = Snapshot("a", 1.0, "proven", program="redis", version="7.0.15")
    new = Snapshot("b", 2.0, "proven", program="valkey", version="8.1.1")
    failed = Snapshot("c", 3.0, "failed", "it differs", program="redis", version="7.0.15")
    assert loadable([failed, new, old], by="redis-7") is old
    assert loadable([failed, new], by="redis-7") is None
    assert unfit(old, engine="redis-7") == ""
    assert unfit(failed, engine="redis-7") == "the snapshot c is failed (it differs)"
    assert "written by valkey 8.1.1" in unfit(new, engine="redis-7")
    assert "`backup-worker restore a --output old.rdb`" in way_back("redis-7", old.id)


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    fake = installed(tmp_path, monkeypatch)
    monkeypatch.setattr(command, "ask_sentinels", lambda _: [])
    monkeypatch.setattr(command, "majority_master", lambda _: Address("127.0.0.1", 3))
    fake.has(
        settings={"engine": "redis-7"},
        outputs=OUTPUTS,
        after={"plan": {"engine": "valkey-8"}},
        refuses={"engine=redis-8": "the planner's word"},
    )
    return fake


def worker(directory: Path, printed: object, *, code: int = 0) -> Path:
    """Put a `backup-worker` on the PATH that prints this; return where it notes its words."""
    program, trace = directory / "backup-worker", directory / "worker-asked"
    text = directory / "printed"
    text.write_text(json.dumps(printed))
    complaint = "echo 'not proven: no memory' >&2"
    program.write_text(f'#!/bin/sh\necho "$@" >> {trace}\ncat {text}\n{complaint}\nexit {code}\n')
    program.chmod(0o755)
    return trace


def test_it_takes_the_snapshot_then_changes_the_engine(
    pulumi: FakePulumi, tmp_path: Path, capfd: Said
) -> None:
    trace = worker(tmp_path, PROVEN)
    assert execute(["upgrade", "valkey-8", "--yes", "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert (answer["from"], answer["snapshot"], answer["run"]) == ("redis-7", "20261130T08", True)
    assert "restore 20261130T08" in answer["way_back"]
    assert trace.read_text() == "snapshot --json\n"
    assert pulumi.settings == {"engine": "valkey-8"}
    before, after = pulumi.asked.index("preview"), pulumi.asked.index("up")
    # While the snapshot is taken nobody's `up` would change the engine.
    assert pulumi.asked[before + 1] == "config set engine redis-7"
    assert pulumi.asked[after - 1] == "config set engine valkey-8"
    assert execute(["upgrade", "valkey-8", "--yes"]) == 0
    assert "nothing to do" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"state": "not proven"}, "is not proven (no memory)"),
        ({"state": "failed", "proof": {"cause": "differs"}}, "is failed (differs)"),
        ({"engine": "valkey", "engine_version": "8.1.1"}, "was written by valkey 8.1.1"),
    ],
)
def test_without_a_way_back_nothing_is_touched(
    pulumi: FakePulumi, tmp_path: Path, capfd: Said, state: dict[str, object], why: str
) -> None:
    worker(tmp_path, PROVEN | state, code=4)
    assert execute(["upgrade", "valkey-8", "--yes"]) == 7
    assert f"no way back: the snapshot 20261130T08 {why}" in capfd.readouterr().err
    assert pulumi.settings == {"engine": "redis-7"}
    assert "up" not in pulumi.asked


def test_no_snapshot_at_all_is_no_way_back_and_to_do_without_is_typed(
    pulumi: FakePulumi, tmp_path: Path, capfd: Said
) -> None:
    worker(tmp_path, None, code=5)
    assert execute(["upgrade", "valkey-8", "--yes"]) == 7
    assert "no way back: not proven: no memory" in capfd.readouterr().err
    assert execute(["upgrade", "valkey-8", "--yes", "--without-backup"]) == 2
    assert "wants it typed" in capfd.readouterr().err
    assert pulumi.settings == {"engine": "redis-7"}


def test_an_interrupted_one_is_finished_with_the_snapshot_of_before(
    pulumi: FakePulumi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Said
) -> None:
    newer = PROVEN | {"id": "b", "engine": "valkey", "engine_version": "8.1.1"}
    trace = worker(tmp_path, [newer, PROVEN])
    monkeypatch.setattr(command, "engines_of", lambda _: frozenset({"redis-7", "valkey-8"}))
    pulumi.has(settings={"engine": "valkey-8"})
    assert execute(["upgrade", "valkey-8", "--yes"]) == 0
    assert "restore 20261130T08" in capfd.readouterr().out
    assert trace.read_text() == "list --json\n"
    assert "up" in pulumi.asked


def test_the_one_that_is_changed_last_becomes_master_before_anything_is_set(
    pulumi: FakePulumi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Said
) -> None:
    worker(tmp_path, PROVEN)
    program, trace = tmp_path / "python", tmp_path / "failed-over"
    program.write_text(f'#!/bin/sh\necho "$@" > {trace}\nexit 7\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(command, "majority_master", lambda _: Address("127.0.0.1", 1))
    assert execute(["upgrade", "valkey-8", "--yes"]) != 0
    assert "redis_ha failover --to redis-3 --stack dev --yes" in trace.read_text()
    assert pulumi.settings == {"engine": "redis-7"}
    monkeypatch.setattr(command, "majority_master", lambda _: None)
    assert execute(["upgrade", "valkey-8", "--yes"]) == 7
    assert "names one master; nothing was changed" in capfd.readouterr().err
    assert "up" not in pulumi.asked


def test_the_planner_is_asked_before_the_worker(
    pulumi: FakePulumi, tmp_path: Path, capfd: Said
) -> None:
    trace = worker(tmp_path, PROVEN)
    assert execute(["upgrade", "redis-8", "--yes"]) == 7
    assert "the planner's word" in capfd.readouterr().err
    assert not trace.exists()
    assert pulumi.settings == {"engine": "redis-7"}


def test_a_downgrade_is_refused_with_the_way_back_and_a_dry_run_does_nothing(
    pulumi: FakePulumi, tmp_path: Path, capfd: Said
) -> None:
    trace = worker(tmp_path, PROVEN)
    assert execute(["upgrade", "valkey-8", "--dry-run"]) == 0
    said = capfd.readouterr().out
    assert "the worker takes a new snapshot" in said
    assert "redis-7 becomes valkey-8" in said
    pulumi.has(outputs=OUTPUTS | {"plan": {"engine": "redis-8"}})
    assert execute(["upgrade", "redis-7", "--dry-run"]) == 7
    assert "`pulumi destroy`, engine redis-7" in capfd.readouterr().err
    assert execute(["upgrade", "redis-9"]) == 2
    assert not trace.exists()
    assert pulumi.settings == {"engine": "redis-7"}
