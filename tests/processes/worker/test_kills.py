"""kill -9 of the running worker in each of its steps: what is listed is whole, the log as well."""

import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup_worker.catalog import Catalog
from backup_worker.log.history import read_history
from backup_worker.manifest import Content
from backup_worker.store.file import FileStore
from tests.processes.backup.conftest import wait_for
from tests.processes.backup.test_backup_run import running
from tests.processes.cluster import Cluster
from tests.processes.worker.moments import STEPS, Step, files, wait_for_step
from tests.processes.worker.restored import restored_digest, whole_log_shipped
from tests.processes.worker.running import log_catalog, status
from tests.processes.worker.steady import steady
from tests.processes.worker_command import WorkerCommand
from tests.unit.backup_worker.snapshots import CONTENT, made, publish

KILLS = int(os.environ.get("REDIS_HA_TEST_KILLS", str(len(STEPS))))
SEED = int(os.environ.get("REDIS_HA_TEST_SEED", "0")) or random.randrange(1 << 32)
SETTINGS = {"REDIS_BACKUP_LOG_SECONDS": "1", "REDIS_BACKUP_INTERVAL": "1"}


@pytest.mark.timeout(120 + 20 * KILLS)
def test_killed_in_any_step_it_lists_nothing_but_what_is_whole(
    cluster: Cluster, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    figure(f"REDIS_HA_TEST_SEED={SEED}")
    source = random.Random(SEED)
    worker, killed = WorkerCommand(tmp_path, cluster, settings=SETTINGS), Counter[str]()
    with steady(cluster, tmp_path, rate=200, writers=1, value=300):
        with running(worker):
            wait_for(lambda: log_catalog(worker).list().names != (), "a log", 40)
            wait_for(lambda: objects_of_listed(worker) > 0, "a snapshot", 40)
        for number in range(KILLS):
            step = STEPS[number % len(STEPS)]
            old_snapshot(worker, number)
            killed[step.name] += kill_in(worker, step, later=source.choice((0.0, 0.0, 0.02, 0.2)))
            assert_nothing_runs(worker)
            assert objects_of_listed(worker) > 0
    restart_completes(worker)
    assert all(killed[step.name] for step in STEPS[:KILLS]), killed
    figure(f"{sum(killed.values())} kills in {len(killed)} steps")


def kill_in(worker: WorkerCommand, step: Step, *, later: float) -> bool:
    """Start the worker, kill it in a step or a moment later; say whether the step was seen."""
    before = files(worker)
    with running(worker) as run:
        seen = wait_for_step(worker, step, before)
        time.sleep(later)
        assert run.process.poll() is None, run.process.communicate()
        run.process.kill()
        run.process.communicate()
    return seen


def restart_completes(worker: WorkerCommand) -> None:
    """One more start: everything is taken up, and all that was ever listed can be restored."""
    began = datetime.now(UTC)
    with running(worker) as run:
        wait_for(lambda: newest(worker) > began, "a new snapshot", 60)
        wait_for(run.is_healthy, "health")
        end = whole_log_shipped(worker)
        live = worker.cluster.digest()
        wait_for(lambda: status(worker)["log"]["spool_segments"] == 0, "an empty spool")
        run.end()
    assert run.process.returncode == 0
    assert [e for e in run.events if e["event"] == "log-gap"] == []
    history = read_history(Catalog(FileStore(worker.store), (worker.signer.public_key,)))
    assert history.coverage().gaps == ()
    assert restored_digest(worker, end) == live
    assert [n for n in files(worker) if n.startswith(("state/drill/", "state/log-spool/"))] == []
    # A round lets only a few go that were there before it; those put here are all too old.
    assert worker.run("prune").returncode == 0
    done = worker.run("verify", "--all", "--identity", str(worker.identity_file), timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def objects_of_listed(worker: WorkerCommand) -> int:
    """Compare each object that a listed snapshot or segment names with it; return how many."""
    store, trusted = FileStore(worker.store), (worker.signer.public_key,)
    count = 0
    for entry in Catalog(store, trusted).list().entries:
        assert entry.manifest is not None, entry
        assert whole(store, entry.manifest.object_key, entry.manifest.stored)
        if (contents := entry.manifest.contents) is not None:
            assert whole(store, contents.object_key, contents.stored)
        count += 1
    log = log_catalog(worker)
    for segment in log.read_all(log.list().names):
        assert whole(store, segment.name.object_key, segment.stored)
    return count


def whole(store: FileStore, key: str, expected: Content) -> bool:
    with closing(store.get(key)) as chunks:
        content = b"".join(chunks)
    return Content(len(content), hashlib.sha256(content).hexdigest()) == expected


def old_snapshot(worker: WorkerCommand, number: int) -> str:
    """Put a snapshot into the store that the next round prunes."""
    days_ago = datetime.now(UTC) - timedelta(days=8)
    hours = (made().taken_at - days_ago).total_seconds() / 3600
    stored = Content(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    manifest = replace(made(hours, nonce=number + 1), stored=stored)
    return publish(FileStore(worker.store), worker.signer, manifest).id


def newest(worker: WorkerCommand) -> datetime:
    listing = Catalog(FileStore(worker.store), (worker.signer.public_key,)).list()
    assert listing.latest is not None
    return listing.latest.taken_at


def assert_nothing_runs(worker: WorkerCommand) -> None:
    """The scratch server of a killed worker ends with it."""

    def alive() -> list[bytes]:
        home = str(worker.directory / "state").encode()
        return [line for line in command_lines() if b"redis-server" in line and home in line]

    wait_for(lambda: not alive(), "the end of the scratch server", 5)


def command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found
