"""`backup-worker run` as the container runs it."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backup_worker import manifest as manifests
from backup_worker.manifest import Manifest
from backup_worker.store.file import FileStore
from tests.processes.backup.conftest import objects, set_key_delay, wait_for, wait_for_transfer
from tests.processes.cluster import Cluster, Settings
from tests.processes.worker_command import WorkerCommand
from tests.unit.backup_worker.snapshots import made, publish


class Running:
    """A worker that runs; `events` is what it said once it ended."""

    def __init__(self, worker: WorkerCommand, **settings: str) -> None:
        self.health = Path(settings.get("REDIS_BACKUP_HEALTH_FILE", worker.directory / "health"))
        self.process = worker.start(
            "run", "--health-file", str(self.health), "--node", "worker", settings=settings
        )
        self.events: list[dict[str, Any]] = []

    def said(self) -> str:
        """Return what the health file says."""
        return self.health.read_text() if self.health.exists() else ""

    def is_healthy(self) -> bool:
        return self.said().startswith("ok ")

    def until(self, event: str) -> None:
        """Read what it says until it says that."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return
        raise AssertionError(f"it ended without saying {event}")

    def end(self) -> None:
        """Ask it to end, which it does at once."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=20)
        self.events += [json.loads(line) for line in out.splitlines()]
        assert err == ""


@contextmanager
def running(worker: WorkerCommand, **settings: str) -> Iterator[Running]:
    run = Running(worker, **settings)
    with run.process:
        try:
            yield run
        finally:
            run.process.kill()


def in_snapshots(worker: WorkerCommand) -> list[str]:
    """List every file below snapshots/, hidden ones too."""
    return [name for name in objects(worker) if name.startswith("snapshots/")]


def manifests_in(worker: WorkerCommand) -> list[str]:
    return [name for name in in_snapshots(worker) if name.endswith("/manifest.json")]


def test_a_first_snapshot_at_start_and_one_each_interval(worker: WorkerCommand) -> None:
    with running(worker, REDIS_BACKUP_INTERVAL="2") as run:
        wait_for(lambda: len(manifests_in(worker)) >= 3, "three snapshots")
        assert run.is_healthy()
        run.end()
    assert run.process.returncode == 0
    taken = [e for e in run.events if e["event"] == "snapshot-taken"]
    assert {"time", "level", "event", "node", "snapshot", "source", "size"} <= set(taken[0])
    assert (run.events[0]["event"], run.events[-1]["event"]) == ("started", "stopped")
    assert {e["node"] for e in run.events} == {"worker"}
    told, listed = {e["snapshot"] for e in taken}, [s["id"] for s in worker.list()]
    # The last one may have been published a moment before it was to be told.
    assert set(listed[1:]) <= told <= set(listed)


def test_a_restart_does_not_take_another_at_once(worker: WorkerCommand) -> None:
    worker.snapshot()
    with running(worker, REDIS_BACKUP_INTERVAL="3600") as run:
        wait_for(run.is_healthy, "health")
        time.sleep(1)
        run.end()
    assert len(worker.list()) == 1


def test_sigterm_in_the_middle_of_a_transfer_ends_it_clean(slow: WorkerCommand) -> None:
    # A whole one would take a minute.
    set_key_delay(slow.cluster, 30_000)
    with running(slow) as run:
        wait_for_transfer(slow, run.process)
        run.end()
    assert run.process.returncode == 0
    assert in_snapshots(slow) == []


def test_it_waits_for_a_cluster_that_is_not_there_yet(tmp_path: Path) -> None:
    cluster = Cluster.prepare(tmp_path, Settings())
    worker = WorkerCommand(tmp_path, cluster)
    try:
        with running(worker) as run:
            wait_for(lambda: "find the master of" in run.said(), "the reason")
            assert run.said().startswith("no snapshot yet: ")
            cluster.start_all()
            wait_for(run.is_healthy, "the first snapshot", 60)
            run.end()
    finally:
        cluster.end()
    failed = [e for e in run.events if e["event"] == "round-failed"]
    assert failed[0]["level"] == "error"
    assert failed[0]["retry_in"] == 2
    assert len(worker.list()) == 1


def test_it_goes_on_after_its_store_was_away(worker: WorkerCommand, tmp_path: Path) -> None:
    parent = tmp_path / "mount"
    with running(worker, REDIS_BACKUP_STORE=f"file://{parent}/store") as run:
        wait_for(lambda: "mount" in run.said(), "the reason")
        parent.mkdir()
        wait_for(run.is_healthy, "a snapshot")
        run.end()
    assert {e["level"] for e in run.events} == {"info", "error"}


def test_switched_off_it_idles_in_good_health(worker: WorkerCommand) -> None:
    with running(worker, REDIS_BACKUP_ENABLED="false") as run:
        wait_for(run.is_healthy, "health")
        run.end()
    assert objects(worker) == []


def old_snapshot(worker: WorkerCommand, *, days: int) -> Manifest:
    long_ago = datetime.now(UTC) - timedelta(days=days)
    hours = (made().taken_at - long_ago).total_seconds() / 3600
    return publish(FileStore(worker.store), worker.signer, made(hours))


def test_a_start_removes_the_plain_data_that_killed_restores_left(worker: WorkerCommand) -> None:
    state = worker.directory / "state"
    left = [state / "scratch" / "dump.rdb", state / "restore-saved" / "x" / "dump.rdb"]
    for path in left:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"REDIS0010")
    with running(worker) as run:
        wait_for(lambda: not any(path.exists() for path in left), "the sweep")
        run.end()


def test_old_snapshots_are_pruned_after_a_new_one(worker: WorkerCommand) -> None:
    old = old_snapshot(worker, days=8)
    young = old_snapshot(worker, days=6)
    with running(worker) as run:
        run.until("pruned")
        assert not any(old.id in name for name in objects(worker))
        run.end()
    assert [e["deleted"] for e in run.events if e["event"] == "pruned"] == [{"snapshot": 1}]
    assert worker.list()[-1]["id"] == young.id


def test_prune_says_what_would_go_and_why_before_it_does(worker: WorkerCommand) -> None:
    kept = worker.snapshot()
    old = old_snapshot(worker, days=8)
    orphan = manifests.object_key(old_snapshot(worker, days=2).id)
    FileStore(worker.store).delete(orphan.replace("dump.rdb.zst.age", "manifest.json"))
    before = objects(worker)
    told = worker.run("prune", "--dry-run")
    assert told.returncode == 0
    rows = [line.split("\t") for line in told.stdout.splitlines()]
    orphaned = orphan.split("/")[1]
    assert [row[1:3] for row in rows] == [
        [kept["id"], "keep"],
        [old.id, "delete"],
        [orphaned, "delete"],
    ]
    assert objects(worker) == before
    done = json.loads(worker.run("prune", "--json").stdout)
    assert set(done["deleted"]) == {old.id, orphaned}
    assert {name.split("/")[1] for name in objects(worker)} == {kept["id"]}
