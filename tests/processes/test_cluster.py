"""The cluster that the other tests stand on does what they take for granted."""

import time

from tests.processes.cluster import Cluster
from tests.processes.ledger import Ledger


def test_a_cluster_starts_within_seconds_and_replicates(cluster: Cluster) -> None:
    with cluster.master.client("app") as client:
        client.set("greeting", "hello")
    cluster.wait_until_healthy()
    assert len(set(cluster.digests())) == 1
    assert cluster.digest() != "0" * 40


def test_a_killed_master_is_replaced_and_comes_back_as_a_replica(cluster: Cluster) -> None:
    old = cluster.master
    with Ledger.running(cluster) as ledger:
        ledger.wait_for_writes(200)
        began = time.monotonic()
        old.kill()
        cluster.wait_for_master(other_than=old)
        assert time.monotonic() - began < cluster.settings.down_after / 1000 + 4
        ledger.wait_for_writes(200)
    old.start()
    cluster.wait_until_healthy()
    assert cluster.master is not old
    assert len(set(cluster.digests())) == 1
