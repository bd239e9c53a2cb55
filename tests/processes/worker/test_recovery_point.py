"""How much a loss of everything but the store would cost: measured by restoring, under load.

The running worker, a steady stream of writes with a ledger, and each way to lose a node.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from redis_ha.errors import SwitchoverRefused
from redis_ha.switchover import OldMaster, switch_over
from tests.processes.backup.conftest import wait_for
from tests.processes.backup.test_backup_run import running
from tests.processes.cluster import Cluster, Settings
from tests.processes.restore.test_files import stock_redis
from tests.processes.worker.restored import restore, restored_digest, whole_log_shipped
from tests.processes.worker.running import (
    Reach,
    copy_store,
    last_moment,
    log_catalog,
    source_of,
    status,
)
from tests.processes.worker.steady import Batch, missing_in, steady
from tests.processes.worker_command import WorkerCommand

Figure = Callable[[str], None]
RATE = int(os.environ.get("REDIS_HA_TEST_RATE", "20000"))
# A switchover's replicas join the new master one by one; a busy machine takes its time.
REATTACH_SECONDS = 2
# Seconds of load before and after each fault.
CALM = float(os.environ.get("REDIS_HA_TEST_CALM", "2"))
LOG_SECONDS = tuple(os.environ.get("REDIS_HA_TEST_LOG_SECONDS", "1").split(","))

# Writes must reach a replica, as in a real cluster: then the log's source is never far.
SETTINGS = Settings(
    redis_lines=("appendfsync no", "min-replicas-to-write 1", "min-replicas-max-lag 2")
)


@dataclass(frozen=True)
class Lost:
    """A fault, and the store as it was `CALM` seconds after the log went on; times in ms."""

    name: str
    began: int
    ended: int
    store: Path


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seconds", LOG_SECONDS)
def test_no_fault_costs_more_than_the_log_may_lag(
    tmp_path: Path, seconds: str, figure: Figure
) -> None:
    with Cluster.start(tmp_path / "cluster", SETTINGS) as cluster:
        worker = WorkerCommand(tmp_path, cluster, settings={"REDIS_BACKUP_LOG_SECONDS": seconds})
        with running(worker) as run, steady(cluster, tmp_path, rate=RATE) as load:
            wait_for(lambda: len(log_catalog(worker).list().names) >= 2, "the log", 60)
            began, before = time.monotonic(), load.acknowledged
            with Reach(worker).watched() as reach:
                faults = [
                    lose(worker, "source replica killed", kill_source),
                    lose(worker, "master killed", kill_master),
                    lose(worker, "switchover", hand_over),
                ]
            rate = (load.acknowledged - before) / (time.monotonic() - began)
            load.stop()
            end = whole_log_shipped(worker)
            assert status(worker)["log"]["gaps"] == 0
            run.end()
        with cluster.settled_master().client(timeout=60.0) as client:
            lost = {(b.writer, b.first) for b in missing_in(client, load.batches)}
            # Last: with millions of keys it takes longer than Sentinel waits.
            live = str(client.execute_command("DEBUG", "DIGEST"))
        assert [event for event in run.events if event["event"] == "log-gap"] == []
        assert restored_digest(worker, end) == live
        kept = [batch for batch in load.batches if (batch.writer, batch.first) not in lost]
        figure(f"log each {seconds} s, {rate:.0f} writes/s acknowledged, faults included")
        figure(f"{len(lost)} batches lost by Redis itself with the master")
        restored, moments = [], []
        for fault in faults:
            behind = age_of_first_missing(worker, fault, kept)
            worst = reach.longest(sorted(b.time_ms for b in kept), fault.began, fault.ended)
            figure(f"{fault.name}: restored {behind} ms behind, {worst} ms at the worst moment")
            restored.append(behind)
            moments.append(worst)
        assert max(restored) <= int(seconds) * 1000
        # In the fault itself the time until another replica is followed comes on top.
        assert max(moments) <= (int(seconds) + REATTACH_SECONDS) * 1000


def lose(worker: WorkerCommand, name: str, fault: Callable[[WorkerCommand], None]) -> Lost:
    """Let a fault happen in the middle of calm load; keep the store of some seconds later."""
    time.sleep(CALM)
    began = time.time_ns() // 1_000_000
    fault(worker)
    wait_for(lambda: is_fed(worker), "a log that goes on")
    time.sleep(CALM)
    store = worker.directory / name.replace(" ", "-")
    ended = int(copy_store(worker.store, store) * 1000)
    for node in worker.cluster.data_nodes:
        if not node.running:
            node.start()
    wait_for(lambda: followed(worker), "a healthy cluster that is followed", 60)
    return Lost(name, began, ended, store)


def is_fed(worker: WorkerCommand) -> bool:
    source = source_of(worker)
    return source is not None and source.running


def followed(worker: WorkerCommand) -> bool:
    with suppress(redis.RedisError, OSError):
        views = worker.cluster.views()
        up = [view.link_up for view in views if view.role != "master"]
        return up == [True, True] and source_of(worker) is not None
    return False


def kill_source(worker: WorkerCommand) -> None:
    wait_for(lambda: source_of(worker) is not None, "a source")
    source = source_of(worker)
    assert source is not None
    source.kill()


def kill_master(worker: WorkerCommand) -> None:
    master = worker.cluster.master
    master.kill()
    worker.cluster.wait_for_master(other_than=master)


def hand_over(worker: WorkerCommand) -> None:
    """Switch over, once no sentinel takes the node that was killed before for a master any more."""
    wait_for(lambda: handed_over(worker), "a switchover that isn't refused", 60)


def handed_over(worker: WorkerCommand) -> bool:
    with suppress(SwitchoverRefused):
        switch_over(worker.cluster.access("operator"), old_master=OldMaster.DEMOTE)
        return True
    return False


def age_of_first_missing(worker: WorkerCommand, fault: Lost, kept: Sequence[Batch]) -> int:
    """Restore the last moment of a store; return the age (ms) of the first write not in it."""
    moment = last_moment(worker, fault.store)
    target = fault.store.with_suffix(".restored")
    restore(worker, "--at", moment.isoformat(), target=target, store=fault.store)
    due = [batch for batch in kept if batch.time_ms <= fault.ended]
    with stock_redis(target, appendonly="yes") as client:
        missing = missing_in(client, due)
    assert_only_the_end_is_missing(due, missing)
    shutil.rmtree(target)
    return max((fault.ended - batch.time_ms for batch in missing), default=0)


def assert_only_the_end_is_missing(due: Sequence[Batch], missing: Sequence[Batch]) -> None:
    """Each writer's writes came one after the other: whatever is there, all before it is."""
    for writer in {batch.writer for batch in due}:
        gone = [batch for batch in missing if batch.writer == writer]
        own = [batch for batch in due if batch.writer == writer]
        assert own[len(own) - len(gone) :] == gone
