"""A worker's link to a node that is promoted must not become a replica in Sentinel's eyes."""

import time
from contextlib import closing

from backup_worker.replication.link import follow
from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster
from tests.processes.cluster_process import Process

# Long enough for the sentinels, who ask each 0.1 s here, to have read INFO often.
WATCHED_SECONDS = 1.5


def listed(sentinel: Process) -> int:
    with sentinel.client() as client:
        return len(client.sentinel_slaves(files.MASTER_NAME))


def test_no_sentinel_lists_a_link_to_the_master(cluster: Cluster) -> None:
    cluster.hurry_sentinels(100)
    master = cluster.master
    with master.client() as client:
        before = client.info("replication")
        start = int(before["master_repl_offset"])
        access = cluster.access("backup")
        with closing(
            follow(access, master.address, replid=before["master_replid"], offset=start)
        ) as stream:
            assert next(stream) == b""
            deadline = time.monotonic() + WATCHED_SECONDS
            while time.monotonic() < deadline:
                next(stream)
                assert [listed(sentinel) for sentinel in cluster.sentinels] == [2, 2, 2]
            names = client.info("replication")
    rows = [value for key, value in names.items() if key.startswith("slave") and key[5:].isdigit()]
    assert {"backup-worker"} < {row["ip"] for row in rows}
