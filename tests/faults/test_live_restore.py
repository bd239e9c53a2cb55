"""A node crashes in the middle of a live restore: all is whole again, and the next one succeeds."""

from collections.abc import Callable, Iterator

import pytest

from tests.processes.backup.conftest import wait_for
from tests.processes.cluster import Cluster, Settings
from tests.processes.redis_ha.witnessed import settle
from tests.processes.restore import dataset
from tests.processes.restore.conftest import Worker, hurry, make_worker
from tests.processes.restore.test_live import settings

pytestmark = pytest.mark.timeout(300)
LINES = ("min-replicas-to-write 1", "min-replicas-max-lag 3")
# A cluster, its worker, a snapshot and the digest that belongs to it.
Hurt = tuple[Cluster, Worker, str, str]


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hurt]:
    directory = tmp_path_factory.mktemp("restored")
    guarded = Settings(guarded=True, witness=True, down_after=5000, redis_lines=LINES)
    with Cluster.start(directory, guarded) as cluster:
        hurry(cluster)
        worker = make_worker(cluster, directory / "worker")
        dataset.load(settle(cluster), keys=2000)
        yield cluster, worker, worker.snapshot(), cluster.digest()


@pytest.mark.parametrize(
    ("stage", "later", "whose"), [("attach", 0.1, "replica"), ("promote", 0.0, "master")]
)
def test_a_crash_in_the_middle(
    hurt: Hurt, stage: str, later: float, whose: str, figure: Callable[[str], None]
) -> None:
    cluster, worker, snapshot, wanted = hurt
    dataset.replace(cluster)
    node = cluster.master if whose == "master" else cluster.replicas[0]

    words = ("restore", "--yes", "--identity", str(worker.key), "--timeout", "20", snapshot)
    code = worker.disturbed_at(stage, lambda _: node.kill(), *words, later=later).code

    node.start()
    wait_for(lambda: taken_back(worker), "the restore taken back", 60)
    settle(cluster)
    assert len(set(cluster.digests())) == 1
    again = worker.restore(snapshot)
    assert again.code == 0, again.stderr
    assert cluster.digests() == [wanted] * 3
    assert settings(cluster) == {("5000", "1")}
    settle(cluster)
    figure(f"the restore ended with {code}, the next one went through")


def taken_back(worker: Worker) -> bool:
    """Take back what the restore could not take back itself while a node was away."""
    if worker.stage() is not None:
        worker.run("restore", "--undo", "--yes", "--identity", str(worker.key))
    return worker.stage() is None
