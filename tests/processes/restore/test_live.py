"""A snapshot goes back into the live cluster: nothing restarts, nothing fails over."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import redis

from tests.processes.cluster import Cluster
from tests.processes.restore import dataset
from tests.processes.restore.conftest import Worker

Shared = tuple[Cluster, Worker]
# The journal names what is about to be done: right then, and (attached) while it is under way.
POINTS = pytest.mark.parametrize(
    ("stage", "later"),
    [("hold", 0), ("attach", 0), ("attach", 0.4), ("promote", 0), ("release", 0)],
)


@pytest.fixture(scope="module")
def snapshot(shared: Shared) -> tuple[str, list[str], list[int]]:
    """Give a snapshot's id, the digests and the sums of TTLs at that moment."""
    cluster, worker = shared
    dataset.load(cluster)
    digests, ttls = cluster.digests(), dataset.ttls(cluster)
    assert len(set(digests)) == 1
    return worker.snapshot(), digests, ttls


def test_everything_is_back_and_no_process_was_restarted(
    shared: Shared, snapshot: tuple[str, list[str], list[int]]
) -> None:
    cluster, worker = shared
    identity, digests, ttls = snapshot
    dataset.replace(cluster)
    processes, master = [view.run_id for view in cluster.views()], cluster.master
    replaced = cluster.digest()

    finished = worker.restore("latest")

    assert finished.code == 0, finished.stderr
    assert cluster.digests() == digests
    assert dataset.ttls(cluster) == ttls
    assert dataset.functions(cluster) == [{"before"}] * 3
    assert [view.run_id for view in cluster.views()] == processes
    assert cluster.master is master
    assert not [log for log in logs(cluster) if "+switch-master" in log or "+try-failover" in log]
    assert settings(cluster) == {("5000", "1")}
    cluster.wait_until_healthy()
    result = finished.json
    assert (result["snapshot"], result["full_syncs"]) == (identity, 0)
    assert worker.stage() is None
    assert not list((worker.state).rglob("*.rdb"))

    # `latest` is not the safety snapshot that was just taken.
    assert worker.run("restore", "--dry-run", "--json", "latest").json["snapshot"] == identity
    undone = worker.restore(result["safety_snapshot"])
    assert undone.code == 0, undone.stderr
    assert cluster.digests() == [replaced] * 3
    assert dataset.functions(cluster) == [{"after"}] * 3


def test_of_the_writes_meanwhile_those_after_the_switch_stay_and_those_before_go(
    shared: Shared, snapshot: tuple[str, list[str], list[int]]
) -> None:
    cluster, worker = shared
    over = threading.Event()
    acknowledged: list[int] = []
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write_until, over, cluster, acknowledged)
        finished = worker.restore(snapshot[0])
        restored = len(acknowledged)
        cluster.wait_for(lambda: len(acknowledged) > restored + 50)
        over.set()
        writing.result()
    assert finished.code == 0, finished.stderr
    with cluster.master.client() as client:
        kept = [number for number in acknowledged if client.exists(f"meanwhile:{number}")]
    assert kept == acknowledged[-len(kept) :]
    assert 50 < len(kept) < len(acknowledged)
    cluster.wait_until_healthy()
    assert len(set(cluster.digests())) == 1


def write_until(over: threading.Event, cluster: Cluster, acknowledged: list[int]) -> None:
    """Write one key after the other to the master; note each number that it acknowledged."""
    number = 0
    with cluster.master.client(timeout=15.0) as client:
        while not over.is_set():
            number += 1
            # READONLY and LOADING are refusals, not acknowledgements.
            with suppress(redis.ResponseError, redis.BusyLoadingError):
                client.set(f"meanwhile:{number}", number)
                acknowledged.append(number)
            over.wait(0.002)


@POINTS
def test_a_killed_restore_is_resumed(
    shared: Shared, snapshot: tuple[str, list[str], list[int]], stage: str, later: float
) -> None:
    cluster, worker = shared
    identity, digests, _ = snapshot
    dataset.replace(cluster)
    worker.kill_at(stage, identity, later=later)

    refused = worker.restore(identity)
    assert refused.code == 7
    assert "--resume" in refused.complaint
    assert "--undo" in refused.complaint

    finished = worker.restore("--resume")
    assert finished.code == 0, finished.stderr
    assert cluster.digests() == digests
    assert_calm(cluster, worker)


@POINTS
def test_a_killed_restore_is_undone(
    shared: Shared, snapshot: tuple[str, list[str], list[int]], stage: str, later: float
) -> None:
    """Where the old data is gone the safety snapshot comes in its place: the data is the same."""
    cluster, worker = shared
    identity, _, _ = snapshot
    dataset.replace(cluster)
    replaced = cluster.digest()
    worker.kill_at(stage, identity, later=later)

    finished = worker.restore("--undo")

    assert finished.code == 0, finished.stderr
    assert cluster.digests() == [replaced] * 3
    assert dataset.functions(cluster) == [{"after"}] * 3
    assert_calm(cluster, worker)


@pytest.mark.parametrize("way", ["--undo", "--resume"])
def test_a_pause_that_a_killed_restore_left_is_ended(
    shared: Shared, snapshot: tuple[str, list[str], list[int]], way: str
) -> None:
    """It dies between pausing the master's writes and attaching it: Sentinel must not act on it."""
    cluster, worker = shared
    identity, _, _ = snapshot
    worker.kill_at("hold", identity)
    with cluster.master.client(timeout=5.0) as client:
        client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        assert worker.restore(way).code == 0
        assert client.set("written", "after") is True
    assert_calm(cluster, worker)


def test_a_hold_whose_journal_is_lost_is_none_to_put_back(
    shared: Shared, snapshot: tuple[str, list[str], list[int]]
) -> None:
    """Another machine's restore was killed: what it set is not what was there before."""
    cluster, worker = shared
    identity, _, _ = snapshot
    dataset.replace(cluster)
    replaced = cluster.digest()
    worker.kill_at("attach", identity)
    (worker.state / "restore-journal.json").unlink()

    refused = worker.restore(identity)
    assert refused.code == 7
    assert "another restore holds this cluster" in refused.complaint
    assert worker.restore("--undo").code == 7
    assert worker.restore("--undo", "--force").code == 2

    words = ("--undo", "--force", "--down-after", "5000", "--min-replicas", "1")
    finished = worker.restore(*words)
    assert finished.code == 0, finished.stderr
    assert cluster.digests() == [replaced] * 3
    assert_calm(cluster, worker)
    assert worker.restore(*words).code == 7


def test_undo_without_a_key_says_that_the_safety_snapshot_is_needed(
    shared: Shared, snapshot: tuple[str, list[str], list[int]]
) -> None:
    cluster, worker = shared
    identity, digests, _ = snapshot
    worker.kill_at("promote", identity)

    refused = worker.run("restore", "--undo")

    assert refused.code == 1
    assert "--undo --identity FILE" in refused.complaint
    assert worker.stage() is not None
    assert worker.restore("--resume").code == 0
    assert cluster.digests() == digests
    assert_calm(cluster, worker)


def test_once_the_master_was_restarted_after_the_switch_undo_loads_the_safety_snapshot(
    shared: Shared, snapshot: tuple[str, list[str], list[int]]
) -> None:
    cluster, worker = shared
    identity, _, _ = snapshot
    dataset.replace(cluster)
    replaced = cluster.digest()
    worker.kill_at("release", identity)
    cluster.master.kill().start()

    stuck = worker.restore("--resume")
    assert stuck.code == 1
    assert "was restarted after the switch" in stuck.complaint
    undone = worker.restore("--undo")

    assert undone.code == 0, undone.stderr
    assert cluster.digests() == [replaced] * 3
    assert_calm(cluster, worker)


def assert_calm(cluster: Cluster, worker: Worker) -> None:
    """Nothing of the restore is left in the cluster or on the disk."""
    cluster.wait_until_healthy()
    assert settings(cluster) == {("5000", "1")}
    assert worker.stage() is None
    assert not list(worker.state.rglob("*.rdb"))
    assert not [log for log in logs(cluster) if "+switch-master" in log or "+try-failover" in log]


def logs(cluster: Cluster) -> list[str]:
    return [sentinel.log for sentinel in cluster.sentinels]


def settings(cluster: Cluster) -> set[tuple[str, str]]:
    """Return the pairs of a sentinel's down-after and a node's min-replicas-to-write."""
    found = set()
    for sentinel, node in zip(cluster.sentinels, cluster.data_nodes, strict=True):
        with sentinel.client() as asked, node.client() as client:
            state = asked.sentinel_masters()["mymaster"]
            config = client.config_get("min-replicas-to-write")
        found.add((str(state["down-after-milliseconds"]), config["min-replicas-to-write"]))
    return found
