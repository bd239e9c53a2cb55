"""A replica, or its whole host, is lost while a restore is open: --force goes on without it."""

from collections.abc import Sequence
from contextlib import suppress

import pytest
import redis

from tests.processes.cluster import Cluster
from tests.processes.cluster_process import Process
from tests.processes.restore import dataset
from tests.processes.restore.conftest import SETTINGS, Worker
from tests.processes.restore.test_live import assert_calm

Shared = tuple[Cluster, Worker]


@pytest.fixture(scope="module")
def snapshot(shared: Shared) -> str:
    cluster, worker = shared
    dataset.load(cluster)
    return worker.snapshot()


@pytest.mark.parametrize(
    ("way", "stage"), [("--resume", "attach"), ("--undo", "attach"), ("--undo", "hold")]
)
def test_it_is_finished_or_taken_back_without_a_lost_host(
    shared: Shared, snapshot: str, way: str, stage: str
) -> None:
    cluster, worker = shared
    dataset.replace(cluster)
    before = cluster.digest()
    worker.kill_at(stage, snapshot, later=0.2 if stage == "attach" else 0.0)
    lost = (a_replica(cluster), cluster.sentinels[2])
    for process in lost:
        process.kill()

    stuck = worker.restore(way, "--timeout", "3")
    assert stuck.code == 1
    assert f"with --force without {lost[0].address}, {lost[1].address}" in stuck.complaint

    finished = worker.restore(way, "--force")
    assert finished.code == 0, finished.stderr
    assert finished.json["left_out"] == [str(process.address) for process in lost]
    with cluster.master.client() as client:
        digest = str(client.execute_command("DEBUG", "DIGEST"))
    assert (digest == before) == (way == "--undo")
    come_back(cluster, lost)
    cluster.wait_until_healthy()
    assert cluster.digests() == [digest] * 3
    assert_calm(cluster, worker)


def test_a_replica_that_was_only_cut_off_ends_with_the_masters_data(
    shared: Shared, snapshot: str
) -> None:
    """It holds the restored data, and still follows the scratch server that is gone."""
    cluster, worker = shared
    dataset.replace(cluster)
    before = cluster.digest()
    worker.kill_at("attach", snapshot, later=0.4)
    cut_off = a_replica(cluster).pause()
    try:
        finished = worker.restore("--undo", "--force")
    finally:
        cut_off.resume()
    assert finished.code == 0, finished.stderr
    cluster.wait_for(lambda: hold_the_same(cluster), 60)
    assert cluster.digest() == before
    cluster.wait_until_healthy()
    # What the hold changed stays until it is restarted; `redis-ha doctor` says so.
    with cut_off.client() as client:
        client.config_set("min-replicas-to-write", 1)
    assert_calm(cluster, worker)


def hold_the_same(cluster: Cluster) -> bool:
    # Sentinel closes the connections of a node whose role it changes.
    with suppress(redis.ConnectionError):
        return len(set(cluster.digests())) == 1
    return False


def a_replica(cluster: Cluster) -> Process:
    """Give one that is no master; while a restore is open all may be replicas."""
    with cluster.sentinels[0].client() as client:
        port = int(client.sentinel_masters()["mymaster"]["port"])
    return next(node for node in cluster.data_nodes if node.address.port != port)


def come_back(cluster: Cluster, lost: Sequence[Process]) -> None:
    """Start a node and a sentinel; this bare one has written down how long it is to hold still."""
    for process in lost:
        process.start()
    cluster.hurry_sentinels(1000)
    words = ("SENTINEL", "SET", "mymaster", "down-after-milliseconds", str(SETTINGS.down_after))
    with lost[-1].client() as client:
        client.execute_command(*words)
