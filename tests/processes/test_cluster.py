"""The cluster that the other tests stand on does what they take for granted."""

from tests.processes.cluster import Cluster
from tests.processes.ledger import Ledger
from tests.processes.redis_ha.witnessed import promotion_seconds

# Without the settings of ours Sentinel would wait for 30 s.
PROMOTED_WITHIN = 15.0


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
        old.kill()
        promotion_seconds(cluster, old, within=PROMOTED_WITHIN)
        ledger.wait_for_writes(200)
    old.start()
    cluster.wait_until_healthy()
    assert cluster.master is not old
    assert len(set(cluster.digests())) == 1
