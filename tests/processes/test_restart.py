"""A data node that restarts alone holds what it held: transactions and scripts included."""

from pathlib import Path

from tests.processes.cluster import Cluster, Settings

SCRIPT = "redis.call('SET', KEYS[1], 1); redis.call('SET', KEYS[2], 2)"


def test_a_whole_cluster_that_went_down_comes_back_with_its_transactions(tmp_path: Path) -> None:
    """Redis loads its append-only file as the default user; what that one may not do is skipped."""
    with Cluster.start(tmp_path, Settings()) as cluster:
        with cluster.master.client() as client:
            client.pipeline(transaction=True).set("a", 1).incr("count").execute()
            client.eval(SCRIPT, 2, "b", "c")
        cluster.wait_until_healthy()
        before = cluster.digests()
        for node in cluster.data_nodes:
            node.stop()
        for node in cluster.data_nodes:
            node.start()
        cluster.wait_until_healthy(60)
        assert cluster.digests() == before
