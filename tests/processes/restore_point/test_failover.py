"""The real log of a cluster that failed over is replayed across the fork."""

import time
from pathlib import Path

from tests.processes.restore.test_files import stock_redis
from tests.processes.restore_point.conftest import Shared, moment, written_to
from tests.processes.restore_point.recorder import Recorder


def test_points_before_and_after_a_crash_of_the_master(shared: Shared, tmp_path: Path) -> None:
    cluster, worker = shared
    with Recorder(cluster, worker) as recorder:
        worker.snapshot()
        with written_to(cluster, seed=1):
            time.sleep(0.5)
        before = moment(cluster)
        recorder.seal()
        old = cluster.master
        old.kill()
        cluster.wait_for_master(old)
        new = cluster.settled_master()
        cluster.wait_for(lambda: cluster.master is new)
        old.start()
        cluster.wait_until_healthy(60)
        with written_to(cluster, seed=2):
            time.sleep(0.5)
        after = moment(cluster)
        recorder.seal()
    for number, one in enumerate((before, after)):
        target = tmp_path / str(number)
        finished = worker.restore("--offset", str(one.offset), "--output", str(target))
        assert finished.code == 0, finished.stderr
        assert finished.json["point"]["offset"] == one.offset
        with stock_redis(target, appendonly="yes") as client:
            assert client.execute_command("DEBUG", "DIGEST") == one.digest
    finished = worker.restore("--offset", str(after.offset))
    assert finished.code == 0, finished.stderr
    assert cluster.digests() == [after.digest] * 3
