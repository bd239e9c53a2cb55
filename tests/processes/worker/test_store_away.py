"""A store that is away for minutes, under load: nothing is lost, and Redis does not notice."""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contract.store import servers
from tests.processes.backup.conftest import wait_for
from tests.processes.backup.test_backup_run import running
from tests.processes.cluster import Cluster, Settings
from tests.processes.worker.restored import restored_digest, whole_log_shipped
from tests.processes.worker.running import (
    full_syncs,
    kept_for_replicas,
    log_catalog,
    source_of,
    status,
)
from tests.processes.worker.steady import steady
from tests.processes.worker_command import WorkerCommand

AWAY = float(os.environ.get("REDIS_HA_TEST_AWAY_SECONDS", "15"))
BYTES = 5_000_000
VALUE = 1000
# What a link may hold usually, and in a moment in which a busy machine lets us wait.
FLAT, BURST = 1_000_000, 2 * BYTES
# The log must come to the store faster than it grows.
CATCH_UP = 60 + AWAY
SETTINGS = Settings(
    redis_lines=("appendonly no", 'save ""', "min-replicas-to-write 1", "min-replicas-max-lag 5")
)


@pytest.mark.timeout(300 + 4 * AWAY)
def test_nothing_is_lost_and_the_source_keeps_nothing_for_us(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    bucket, port = tmp_path / "s3" / "bucket", servers.free_port()
    bucket.mkdir(parents=True)
    stored = bucket / "cluster"
    with Cluster.start(tmp_path / "cluster", SETTINGS) as cluster, ExitStack() as store:
        endpoint = store.enter_context(servers.versitygw(bucket.parent, port=port))
        worker = WorkerCommand(tmp_path, cluster, settings=s3_settings(endpoint))
        with running(worker) as run:
            wait_for(lambda: status(worker)["role"] == "working" and log(worker), "the log", 60)
            wait_for(run.is_healthy, "a snapshot", 60)
            with steady(cluster, tmp_path, rate=BYTES / VALUE, value=VALUE, keys=20_000):
                wait_for(lambda: len(log_catalog(worker, stored).list().names) >= 3, "log", 60)
                copies, before = full_syncs(cluster), worker_offset(worker)
                store.close()
                kept, waiting = watch_source(worker, AWAY)
                rate = (worker_offset(worker) - before) / AWAY
                assert waiting > 0
                store.enter_context(servers.versitygw(bucket.parent, port=port))
                back = time.monotonic()
                wait_for(lambda: caught_up(worker), "an empty spool", CATCH_UP)
                figure(f"caught up {time.monotonic() - back:.1f} s after the store came back")
                assert full_syncs(cluster) == copies
            end = whole_log_shipped(worker, stored)
            live = cluster.digest()
            assert status(worker)["log"]["gaps"] == 0
            assert status(worker)["role"] == "working"
            run.end()
        assert [e for e in run.events if e["event"] == "log-gap"] == []
        assert restored_digest(worker, end, timeout=60 + 3 * AWAY) == live
    figure(f"{AWAY:.0f} s away at {rate / 1e6:.1f} MB/s: {waiting} bytes waited in the spool")
    usual = statistics.median(kept)
    figure(f"the source kept {usual:.0f} bytes for a link (median), {max(kept)} at most")
    assert usual < FLAT
    assert max(kept) < BURST


def s3_settings(endpoint: str) -> dict[str, str]:
    return {
        **servers.CREDENTIALS,
        "AWS_DEFAULT_REGION": "us-east-1",
        "REDIS_BACKUP_STORE": "s3://bucket/cluster",
        "REDIS_BACKUP_S3_ENDPOINT": endpoint,
        "REDIS_BACKUP_LOG_SECONDS": "2",
    }


def log(worker: WorkerCommand) -> bool:
    return source_of(worker) is not None


def worker_offset(worker: WorkerCommand) -> int:
    return int(status(worker)["log"]["received"])


def watch_source(worker: WorkerCommand, seconds: float) -> tuple[list[int], int]:
    """Look at the source for so long; return what it kept for a link, the most that waited."""
    until, kept, waiting = time.monotonic() + seconds, [], 0
    while time.monotonic() < until:
        source = source_of(worker)
        assert source is not None, "the stream is followed whatever the store does"
        kept.append(kept_for_replicas(source))
        waiting = max(waiting, status(worker)["log"]["spool_bytes"])
        time.sleep(0.2)
    return kept, waiting


def caught_up(worker: WorkerCommand) -> bool:
    """Say whether no more waits than what was sealed a moment ago, and the lease is held."""
    now = status(worker)
    return now["role"] == "working" and now["log"]["spool_segments"] <= 2
