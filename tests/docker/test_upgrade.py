"""The engine changes under writers, one node at a time, and comes back by the way that is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docker import dataset
from tests.docker.stack import SETTINGS, LiveCluster, Stack
from tests.long import only_long

Figure = Callable[[str], None]
APART = {"namePrefix": "upg-", "portOffset": 3000, "subnet": "172.28.99.0/24"}
OLD, NEW = "redis-7", "valkey-8"
# Into the `up`: the preview and the snapshot are over, and nodes are being replaced.
KILLED_AFTER = 60.0


def stack_of(root: Path) -> Stack:
    return Stack(root, {**SETTINGS, **APART, "engine": OLD, "monitoring": False})


def healthy(stack: Stack) -> LiveCluster:
    cluster = LiveCluster.of(stack)
    cluster.wait_until_healthy()
    return cluster


def filled(stack: Stack) -> LiveCluster:
    cluster = healthy(stack)
    master = cluster.nodes[cluster.master()]
    with cluster.access("REDIS").connect(master, decode=False, timeout=30) as client:
        dataset.load(client, keys=2_000)
    return cluster


def engines(cluster: LiveCluster) -> set[str]:
    """Name what the nodes run, as the setting does."""
    infos = [cluster.client(node).info("server") for node in cluster.nodes]
    return {NEW if "valkey_version" in info else OLD for info in infos}


def upgrade(stack: Stack) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(stack.redis_ha("upgrade", NEW, "--yes", "--json").stdout)
    return answer


@pytest.mark.timeout(1800)
def test_it_rolls_under_writers_and_the_way_back_is_one(tmp_path: Path, figure: Figure) -> None:
    with stack_of(tmp_path).standing() as stack:
        cluster = filled(stack)
        before = cluster.digests()
        shown = stack.redis_ha("upgrade", NEW, "--dry-run").stdout
        assert "the worker takes a new snapshot" in shown
        with cluster.writers(2) as ledger:
            ledger.wait_for_writes(200)
            answer = upgrade(stack)
            ledger.wait_for_writes(200)
        changed = healthy(stack)
        assert engines(changed) == {NEW}
        assert ledger.missing_on(changed.client(changed.master())) == []
        assert len(changed.digests()) == 1
        assert set(stack.changes()) == {"same"}
        assert changed.denied() == []
        stack.redis_ha("ready")
        figure(
            f"{OLD} to {NEW}: {ledger.acknowledged} acknowledged, 0 lost, longest gap"
            f" {ledger.longest_gap:.2f} s"
        )
        refuse_the_short_way_back(stack)
        go_back(stack, changed, answer["snapshot"])
        returned = healthy(stack)
        assert engines(returned) == {OLD}
        assert returned.denied() == []
        assert_old_data(returned, before)


def refuse_the_short_way_back(stack: Stack) -> None:
    refused = stack.redis_ha("upgrade", OLD, "--yes", check=False)
    assert refused.returncode == 7
    assert "downgrade" in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert stack.settings["engine"] == NEW
    again = stack.redis_ha("upgrade", NEW, "--yes")
    assert "nothing to do" in again.stdout


def go_back(stack: Stack, cluster: LiveCluster, snapshot: str) -> None:
    """As docs/OPERATIONS.md has it."""
    dump = stack.root / "old.rdb"
    cluster.worker("restore", snapshot, "--output", str(dump), "--yes")
    assert dump.read_bytes()[:9] == b"REDIS0010"
    stack.destroy()
    stack.up(engine=OLD)
    healthy(stack).worker("restore", "--from", str(dump), "--yes")


def assert_old_data(cluster: LiveCluster, before: set[str]) -> None:
    """All of it is there; the writers' keys of the moment of the snapshot may be besides."""
    assert len(cluster.digests()) == 1
    client = cluster.client(cluster.master())
    for key in client.scan_iter("ledger:*", count=1000):
        client.delete(key)
    assert cluster.digests() == before


@only_long("a second stack's life")
@pytest.mark.timeout(1800)
def test_one_that_was_killed_is_finished(tmp_path: Path) -> None:
    with stack_of(tmp_path).standing() as stack:
        cluster = filled(stack)
        with cluster.writers(2) as ledger:
            ledger.wait_for_writes(200)
            command = ("redis-ha", "upgrade", NEW, "--yes", "--stack", stack.name)
            killed = stack.kill_after(KILLED_AFTER, *command)
            stack.adopt_settings()
            answer = upgrade(stack)
            ledger.wait_for_writes(200)
        assert not killed or answer["snapshot"]
        changed = healthy(stack)
        assert engines(changed) == {NEW}
        assert ledger.missing_on(changed.client(changed.master())) == []
        assert set(stack.changes()) == {"same"}
