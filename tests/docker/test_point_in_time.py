"""The continuous log through a failover, and back to the moment before a mistake."""

import json
import time
from collections.abc import Callable
from typing import Any

from tests.docker.stack import LiveCluster, docker, eventually


def status(cluster: LiveCluster) -> dict[str, Any]:
    """What `backup-worker status` says; it may be that something is wrong."""
    shown: dict[str, Any] = json.loads(cluster.worker("status", "--json", check=False).stdout)
    return shown


def ship_all(cluster: LiveCluster) -> None:
    """Wait until the store holds all that the master has written by now.

    What comes after it may wait: a stretch of nothing but pings and hellos is shipped each minute.
    """
    offset = cluster.views()[cluster.master()].offset
    eventually(
        lambda: bool(status(cluster)["log"]["shipped"] >= offset),
        within=60,
        what="the log in the store",
        every=1.0,
    )


def test_the_worker_says_that_all_is_well(cluster: LiveCluster) -> None:
    eventually(lambda: status(cluster)["troubles"] == [], within=60, what="no troubles")
    assert cluster.worker("status").returncode == 0


def test_a_flushall_after_a_crash_under_load_is_undone_to_the_command(
    cluster: LiveCluster, figure: Callable[[str], None]
) -> None:
    eventually(lambda: status(cluster)["troubles"] == [], within=60, what="no troubles")
    old = cluster.master()
    with cluster.writers() as ledger:
        time.sleep(4)
        docker("kill", cluster.container(old))
        eventually(
            lambda: cluster.master(other_than=old) not in {"", old},
            within=20,
            what="a new master",
        )
        time.sleep(4)
    docker("start", cluster.container(old))
    cluster.wait_until_healthy()
    before = cluster.digests()
    lost = ledger_lost(cluster, ledger)
    cluster.inside(cluster.master(), "FLUSHALL")
    assert cluster.digests() != before
    ship_all(cluster)
    found = cluster.worker("log", "--since", "10 minutes ago", "--grep", "FLUSHALL").stdout
    assert found.splitlines()[-1].endswith("FLUSHALL")
    began = time.monotonic()
    cluster.worker("restore", "--before-command", "FLUSHALL", "--yes")
    seconds = time.monotonic() - began
    cluster.wait_until_healthy()
    assert cluster.digests() == before
    assert ledger_lost(cluster, ledger) == lost
    figure(
        f"restore before FLUSHALL: {seconds:.1f} s, {ledger.acknowledged} writes in the ledger,"
        f" {len(lost)} lost by the crash, none by the restore"
    )


def ledger_lost(cluster: LiveCluster, ledger: Any) -> set[str]:
    """Name the acknowledged writes that the master does not hold."""
    with cluster.client(cluster.master(), timeout=30.0) as client:
        return set(ledger.missing_on(client))
