"""A master that lives and is failed over all the same: it takes no writes beside its successor."""

from collections.abc import Callable, Iterator

import pytest

from tests.processes.cluster import Cluster
from tests.processes.ledger import Ledger
from tests.processes.redis_ha.witnessed import FENCED, asked, epoch, promotion_seconds, settle

Figure = Callable[[str], None]
# So long on a busy machine; without witnesses it is a second, with a hang half of one.
FENCED_SECONDS = 0.4


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start(tmp_path_factory.mktemp("fencing"), FENCED) as running:
        yield running


@pytest.fixture
def cluster(shared: Cluster) -> Cluster:
    return settle(shared)


def fail_over(cluster: Cluster) -> None:
    """Have Sentinel do what any tool may ask of it: nobody waits for the replica to be level."""
    with cluster.sentinels[0].client() as sentinel:
        sentinel.execute_command("SENTINEL", "FAILOVER", cluster.access().master_name)


def hang(cluster: Cluster) -> None:
    """Wake a server that stood still just when its successor was promoted."""
    old = cluster.master.pause()
    try:
        promotion_seconds(cluster, old, within=15)
    finally:
        old.resume()


@pytest.mark.parametrize("cause", [fail_over, hang])
def test_it_takes_no_writes_beside_its_successor(
    cluster: Cluster, cause: Callable[[Cluster], None], figure: Figure
) -> None:
    old, before = cluster.master, (epoch(cluster), asked(cluster))
    with Ledger.running(cluster, threads=3) as ledger:
        ledger.wait_for_writes(500)
        cause(cluster)
        cluster.wait_for(lambda: cluster.master is not old)
        ledger.wait_for_writes(500)
    cluster.wait_until_healthy()
    lost = sorted(ledger.acknowledged_at(key) for key in ledger.lost(cluster))
    during = lost[-1] - lost[0] if lost else 0.0
    figure(f"{cause.__name__}: {len(lost)} of {ledger.acknowledged} lost, within {during:.3f} s")
    assert during <= FENCED_SECONDS
    assert epoch(cluster) > before[0]
    assert asked(cluster) == before[1]
    assert any('"event": "fencing-old-master"' in sentinel.log for sentinel in cluster.sentinels)
