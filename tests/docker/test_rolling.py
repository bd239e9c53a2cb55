"""Changes of a running cluster: live where they can be, else node by node; no write is lost."""

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.docker.stack import LiveCluster, Stack, docker, eventually
from tests.processes.ledger import Ledger

Figure = Callable[[str], None]
KILLS = int(os.environ.get("REDIS_HA_TEST_ROLLING_KILLS", "2"))
# A whole `up` that replaces every container takes some 40 to 90 s here.
LATEST_KILL = 45.0


def identities(cluster: LiveCluster) -> dict[str, str]:
    names = [node["name"] for node in (*cluster.outputs["nodes"], *cluster.outputs["sentinels"])]
    return {name: docker("inspect", "-f", "{{.Id}}", cluster.container(name)) for name in names}


def account(cluster: LiveCluster, ledger: Ledger) -> str:
    cluster.wait_until_healthy()
    assert ledger.missing_on(cluster.client(cluster.master())) == []
    assert len(cluster.digests()) == 1
    return f"{ledger.acknowledged} acknowledged, 0 lost, longest gap {ledger.longest_gap:.2f} s"


def test_live_settings_are_applied_without_a_restart_and_kept(
    stack: Stack, cluster: LiveCluster, figure: Figure
) -> None:
    same = identities(cluster)
    # A busy machine's stall is no refusal.
    patient = replace(cluster.access("REDIS"), timeout=10.0)
    with Ledger(patient, list(cluster.nodes.values()), threads=2).writing() as ledger:
        stack.up(maxmemory="128mb", maxmemoryPolicy="allkeys-lfu", timeout=120, downAfterMs=6000)
        eventually(lambda: all(map(changed(cluster), cluster.nodes)), within=20, what="applied")
        ledger.wait_for_writes(200)
    figure(f"live change: {account(cluster, ledger)}")
    assert ledger.refusal == ""
    assert identities(cluster) == same
    access = cluster.access()
    for sentinel in access.sentinels:
        with access.connect(sentinel) as client:
            state = client.sentinel_master(access.master_name)
            assert state["down-after-milliseconds"] == 6000
    docker("restart", cluster.container("redis-2"))
    cluster.wait_until_healthy()
    assert changed(cluster)("redis-2")
    for name in ("maxmemory", "maxmemoryPolicy", "timeout", "downAfterMs"):
        del stack.settings[name]
    stack.up()


def changed(cluster: LiveCluster) -> Callable[[str], bool]:
    def is_changed(node: str) -> bool:
        with cluster.client(node) as client:
            found = client.config_get("maxmemory", "maxmemory-policy", "timeout")
        wanted = {"maxmemory": str(128 << 20), "maxmemory-policy": "allkeys-lfu", "timeout": "120"}
        return dict(found) == wanted

    return is_changed


@pytest.mark.timeout(600)
def test_a_change_that_replaces_rolls_through_without_a_lost_write(
    stack: Stack, cluster: LiveCluster, figure: Figure
) -> None:
    before = identities(cluster)
    with cluster.writers(2) as ledger:
        stack.up(ioThreads=2)
        ledger.wait_for_writes(200)
    figure(f"all data nodes replaced: {account(cluster, ledger)}")
    after = identities(cluster)
    assert all(after[node] != before[node] for node in cluster.nodes)
    assert set(stack.changes()) == {"same"}


def test_containers_that_the_state_does_not_know_are_replaced(
    stack: Stack, cluster: LiveCluster, figure: Figure
) -> None:
    """As an `up` leaves them that was killed before it could note them."""
    before = identities(cluster)
    with cluster.writers(2) as ledger:
        resources = json.loads(stack.pulumi("stack", "export", "-s", stack.name).stdout)
        urns = [each["urn"] for each in resources["deployment"]["resources"]]
        (lost,) = (urn for urn in urns if urn.endswith("::redis-3-container"))
        stack.pulumi("state", "delete", lost, "--target-dependents", "--yes", "-s", stack.name)
        stack.up()
        ledger.wait_for_writes(200)
    figure(f"containers lost from the state: {account(cluster, ledger)}")
    after = identities(cluster)
    assert after["redis-3"] != before["redis-3"]
    assert after["redis-1"] == before["redis-1"]
    assert set(stack.changes()) == {"same"}


@pytest.mark.timeout(600 + 200 * KILLS)
def test_a_killed_up_is_healed_by_the_next(
    stack: Stack, cluster: LiveCluster, figure: Figure
) -> None:
    moments, hit = random.Random(1), 0
    up = ("pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "-s", stack.name)
    with cluster.writers(2) as ledger:
        for _ in range(KILLS):
            # Another value each time: something is to be done.
            stack.settings["ioThreads"] = 1 if stack.settings.get("ioThreads") == 2 else 2
            stack.write_settings()
            hit += stack.kill_after(moments.uniform(2, LATEST_KILL), *up)
            stack.up()
        ledger.wait_for_writes(200)
    # On a quick machine one may have ended before its moment.
    assert hit >= KILLS / 2
    figure(f"{hit} of {KILLS} `up`s killed: {account(cluster, ledger)}")
    stack.up(ioThreads=1)
    assert set(stack.changes()) == {"same"}
