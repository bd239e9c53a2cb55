"""The other engines: each comes up, hands over, and takes its snapshot back."""

from pathlib import Path

import pytest

from tests.docker import dataset
from tests.docker.stack import SETTINGS, LiveCluster, Stack, docker, eventually
from tests.long import only_long

APART = {"namePrefix": "eng-", "portOffset": 4000, "subnet": "172.28.96.0/24"}


@only_long("tests/docker/test_upgrade.py has both, with handovers and a restore")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ["redis-7", "valkey-8"])
def test_engine_comes_up_hands_over_and_is_restored(engine: str, tmp_path: Path) -> None:
    with Stack(tmp_path, {**SETTINGS, **APART, "engine": engine}).standing() as stack:
        cluster = LiveCluster.of(stack)
        cluster.wait_until_healthy()
        check_handover(cluster)
        check_restore(cluster)
        assert [cluster.client(node).acl_log() for node in cluster.nodes] == [[], [], []]


def check_handover(cluster: LiveCluster) -> None:
    old = cluster.master()
    docker("stop", cluster.container(old))
    eventually(lambda: cluster.master(other_than=old) != "", within=15, what="a new master")
    docker("start", cluster.container(old))
    cluster.wait_until_healthy()


def check_restore(cluster: LiveCluster) -> None:
    master = cluster.nodes[cluster.master()]
    with cluster.access("REDIS").connect(master, decode=False, timeout=30) as client:
        dataset.load(client, keys=2_000)
    before = cluster.digests()
    cluster.worker("snapshot")
    cluster.inside(cluster.master(), "FLUSHALL")
    cluster.worker("restore", "latest", "--yes")
    cluster.wait_until_healthy()
    assert len(before) == 1
    assert cluster.digests() == before
