"""Gigabytes of log are replayed to exact offsets: what the master held there, bit by bit."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.backup.conftest import wait_for
from tests.processes.backup.test_backup_run import running
from tests.processes.cluster import Cluster, Settings
from tests.processes.restore_point.conftest import Moment, moment
from tests.processes.worker.restored import loaded_digest, restore, whole_log_shipped
from tests.processes.worker.running import source_of, status
from tests.processes.worker.steady import steady
from tests.processes.worker_command import WorkerCommand

BYTES = int(os.environ.get("REDIS_HA_TEST_LOG_BYTES", "150000000"))
RATE = int(os.environ.get("REDIS_HA_TEST_LOG_RATE", "25000000"))
VALUE = 50_000
SECONDS = 60 + 4 * BYTES / RATE
# The log is what is tested: nothing else is to write gigabytes to the disk, and a machine that is
# too slow for the rate is to be waited for.
SETTINGS = Settings(
    data_nodes=2,
    down_after=60_000,
    redis_lines=("appendonly no", 'save ""', "client-output-buffer-limit replica 0 0 0"),
)


@pytest.mark.timeout(120 + 4 * SECONDS)
def test_exact_offsets_of_a_long_history(tmp_path: Path, figure: Callable[[str], None]) -> None:
    with Cluster.start(tmp_path / "cluster", SETTINGS) as cluster:
        worker = WorkerCommand(tmp_path, cluster)
        with running(worker) as run:
            wait_for(run.is_healthy, "a snapshot", 60)
            wait_for(lambda: source_of(worker) is not None, "the log", 60)
            began = time.monotonic()
            with steady(cluster, tmp_path, rate=RATE / VALUE, writers=1, value=VALUE, keys=1000):
                moments = [moment_at(worker, BYTES // 2), moment_at(worker, BYTES)]
            figure(f"written at {BYTES / (time.monotonic() - began) / 1e6:.0f} MB/s")
            whole_log_shipped(worker, timeout=SECONDS)
            assert status(worker)["log"]["gaps"] == 0
        for one in moments:
            figure(replayed(worker, one))


def moment_at(worker: WorkerCommand, offset: int) -> Moment:
    """Look at the master, which is being written to, once its stream is so long."""

    def reached() -> bool:
        with worker.cluster.master.client() as client:
            return int(client.info("replication")["master_repl_offset"]) >= offset

    wait_for(reached, f"byte {offset}", SECONDS)
    return moment(worker.cluster)


def replayed(worker: WorkerCommand, one: Moment) -> str:
    """Restore a moment and compare; say what that took."""
    target, began = worker.directory / "restored", time.monotonic()
    restore(worker, "--offset", str(one.offset), target=target, timeout=SECONDS)
    written = time.monotonic()
    assert loaded_digest(target, SECONDS) == one.digest
    loaded = time.monotonic()
    shutil.rmtree(target)
    return (
        f"{one.offset / 1e6:.0f} MB of log: restored at"
        f" {one.offset / (written - began) / 1e6:.0f} MB/s,"
        f" loaded by stock Redis at {one.offset / (loaded - written) / 1e6:.0f} MB/s"
    )
