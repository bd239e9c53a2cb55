"""A master that was stopped stays its successor's replica until the sentinels name that one."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_ha.discovery import ask_sentinels, majority_master
from tests.processes.cluster import Cluster, Process, Settings
from tests.processes.ledger import Ledger

# Longer than it waits for another replica to follow, and than down-after.
FROZEN_SECONDS = 5.0
TRIES = 4


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Give a cluster that has time to hand over, of sentinels that soon recover from a pause."""
    made = Cluster.prepare(tmp_path, Settings(guarded=True))
    for node in made.data_nodes:
        file = node.directory / "config" / "node.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"handover_seconds": 60}))
    try:
        made.start_all()
        for sentinel in made.sentinels:
            with sentinel.client() as client:
                client.execute_command("SENTINEL", "DEBUG", "tilt-period", "500")
        yield made
    finally:
        made.end()


def named(cluster: Cluster) -> object:
    return majority_master(ask_sentinels(cluster.access()))


def leading(cluster: Cluster) -> Process:
    """Wait for a sentinel that leads a failover."""
    found: list[Process] = []

    def leads() -> bool:
        views = zip(cluster.sentinels, ask_sentinels(cluster.access()), strict=True)
        found[:] = [sentinel for sentinel, view in views if view.failing_over]
        return bool(found)

    cluster.wait_for(leads)
    return found[0]


def stopped_before_anybody_knows(cluster: Cluster, old: Process) -> Process | None:
    """Stop the master, freeze who promoted another; None where that one was quick to tell."""
    old.signal(signal.SIGTERM)
    sentinel = leading(cluster)
    cluster.wait_for_master(other_than=old)
    sentinel.pause()
    if named(cluster) == old.address:
        return sentinel
    sentinel.resume()
    return None


@pytest.mark.timeout(300)
def test_it_stays_until_the_sentinels_name_its_successor(cluster: Cluster) -> None:
    for _ in range(TRIES):
        old = cluster.master
        with Ledger.running(cluster) as ledger:
            ledger.wait_for_writes(100)
            sentinel = stopped_before_anybody_knows(cluster, old)
            if sentinel is not None:
                time.sleep(FROZEN_SECONDS)
                assert old.running
                sentinel.resume()
            old.wait(60)
            assert named(cluster) not in (None, old.address)
            ledger.wait_for_writes(100)
        assert ledger.lost(cluster) == []
        assert "successor-not-named" not in old.log
        if sentinel is not None:
            return
        cluster.start_all()
    pytest.fail(f"in {TRIES} tries the others knew of the promotion at once")
