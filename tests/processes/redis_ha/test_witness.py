"""Crashes with witnesses: how soon another is master, what is lost, who asked, what it costs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redis_ha.discovery import ask_node
from redis_ha.switchover import OldMaster, switch_over
from tests.crashes import percentile
from tests.processes.cluster import Cluster, Process
from tests.processes.ledger import Ledger
from tests.processes.redis_ha.witnessed import (
    SETTINGS,
    asked,
    epoch,
    kill_server,
    promotion_seconds,
    says,
    settle,
    status,
    witness_pid,
)

CRASHES = int(os.environ.get("REDIS_HA_WITNESS_CRASHES", "5"))
Figure = Callable[[str], None]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start(tmp_path_factory.mktemp("witnessed"), SETTINGS) as running:
        yield running


@pytest.fixture
def cluster(shared: Cluster) -> Cluster:
    """Give the module's cluster, healthy and watched, whatever the test before did to it."""
    return settle(shared)


def come_back(node: Process) -> None:
    """Play the restart policy: the supervisor has ended with its server."""
    node.wait(10)
    node.start()


def test_what_a_witness_costs(cluster: Cluster, figure: Figure) -> None:
    pids = [pid for s in cluster.sentinels if (pid := witness_pid(s))]
    before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
    time.sleep(4.0)
    passed = time.monotonic() - began
    shares = [100 * (cpu_seconds(p) - b) / passed for p, b in zip(pids, before, strict=True)]
    sizes = [resident_mib(pid) for pid in pids]
    figure(f"idle witness: {max(shares):.2f} % of a core, {max(sizes):.0f} MiB resident")
    assert len(pids) == 3
    assert sum(shares) / 3 <= 1.0
    assert max(sizes) <= 40


def test_a_crash_is_over_long_before_down_after(cluster: Cluster, figure: Figure) -> None:
    promotions, gaps, written = [], [], 0
    for _ in range(CRASHES):
        old, before = settle(cluster).master, (epoch(cluster), asked(cluster))
        with Ledger.running(cluster, threads=2) as ledger:
            ledger.wait_for_writes(300)
            kill_server(old)
            promotions.append(promotion_seconds(cluster, old, within=4.0))
            ledger.wait_for_writes(300)
        assert ledger.lost(cluster) == []
        come_back(old)
        cluster.wait_until_healthy()
        assert (epoch(cluster), asked(cluster)) == (before[0] + 1, before[1] + 1), says(cluster)
        gaps.append(ledger.longest_gap)
        written += ledger.acknowledged
    for name, values in (("promoted", promotions), ("writes again", gaps)):
        half, most = percentile(values, 0.5), percentile(values, 0.95)
        figure(f"{name} {half:.2f} s after kill -9 (p50), {most:.2f} s (p95), {len(values)} times")
    figure(f"0 of {written} acknowledged writes lost")
    assert percentile(gaps, 0.5) < SETTINGS.down_after / 1000 / 2


def test_the_rights_suffice(cluster: Cluster) -> None:
    for node in (*cluster.data_nodes, *cluster.sentinels):
        with node.client() as client:
            assert [e for e in client.acl_log() if e["username"] == "witness"] == []


def test_a_switchover_is_nobodys_death(cluster: Cluster) -> None:
    before = (epoch(cluster), asked(cluster))
    switch_over(cluster.access("operator"), old_master=OldMaster.DEMOTE)
    cluster.wait_until_healthy()
    assert (epoch(cluster), asked(cluster)) == (before[0] + 1, before[1])


def test_a_stop_hands_over_and_nobody_asks(cluster: Cluster) -> None:
    old, before = cluster.master, (epoch(cluster), asked(cluster))
    old.stop()
    cluster.wait_for_master(old)
    old.start()
    cluster.wait_until_healthy()
    assert (epoch(cluster), asked(cluster)) == (before[0] + 1, before[1]), says(cluster)


def test_a_crash_with_a_replica_long_gone(cluster: Cluster) -> None:
    old, before = cluster.master, (epoch(cluster), asked(cluster))
    replica = cluster.replicas[0].stop()
    time.sleep(2.5)
    kill_server(old)
    promotion_seconds(cluster, old, within=4.0)
    come_back(old)
    replica.start()
    cluster.wait_until_healthy()
    assert (epoch(cluster), asked(cluster)) == (before[0] + 1, before[1] + 1)


def test_a_crashed_master_restarted_at_once_asks_for_nothing_more(cluster: Cluster) -> None:
    old, before = cluster.master, (epoch(cluster), asked(cluster))
    kill_server(old)
    come_back(old)
    promotion_seconds(cluster, old, within=4.0)
    cluster.wait_until_healthy()
    assert (epoch(cluster), asked(cluster)) == (before[0] + 1, before[1] + 1)


def test_the_sentinel_that_would_be_asked_lost_with_the_master(
    cluster: Cluster, figure: Figure
) -> None:
    old, before = cluster.master, (epoch(cluster), asked(cluster))
    asked_first, witness = cluster.sentinels[-1], witness_pid(cluster.sentinels[-1])
    assert witness is not None
    asked_first.end()
    os.kill(witness, signal.SIGKILL)
    kill_server(old)
    seconds = promotion_seconds(cluster, old, within=4.0)
    figure(f"promoted {seconds:.2f} s after the loss of master, sentinel and witness")
    come_back(old)
    asked_first.start()
    cluster.wait_until_healthy()
    assert (epoch(cluster), asked(cluster)) == (before[0] + 1, before[1] + 1)


def test_an_old_master_that_comes_back_without_its_guard_is_fenced(
    cluster: Cluster, figure: Figure
) -> None:
    old = cluster.master
    kill_server(old)
    promotion_seconds(cluster, old, within=4.0)
    old.wait(10)
    config = old.data / "bare.conf"
    config.write_text((old.directory / "config" / "redis.conf").read_text())
    began = time.monotonic()
    with subprocess.Popen(["redis-server", str(config)], stdout=subprocess.DEVNULL) as bare:
        try:
            access = cluster.access()
            cluster.wait_for(lambda: ask_node(access, old.address).role == "slave", 5)
            figure(f"an old master {time.monotonic() - began:.2f} s after its start: a replica")
            assert sum(status(s).get("fenced", 0) for s in cluster.sentinels) > 0
        finally:
            bare.kill()


def test_a_live_restore_is_left_in_peace(cluster: Cluster) -> None:
    old, before = cluster.master, (epoch(cluster), asked(cluster))
    set_down_after(cluster, 600_000)
    time.sleep(1.5)
    try:
        kill_server(old)
        reason = "as a live restore does"
        cluster.wait_for(lambda: all(reason in s.get("reason", "") for s in says(cluster)), 3)
        assert (epoch(cluster), asked(cluster)) == before
    finally:
        set_down_after(cluster, SETTINGS.down_after)
    promotion_seconds(cluster, old, within=15.0)
    come_back(old)
    cluster.wait_until_healthy()
    assert epoch(cluster) == before[0] + 1


@pytest.mark.parametrize("alive", [1, 0])
def test_without_a_majority_of_witnesses_sentinel_decides(
    cluster: Cluster, figure: Figure, alive: int
) -> None:
    old, before = cluster.master, (epoch(cluster), asked(cluster))
    frozen = [pid for s in cluster.sentinels[alive:] if (pid := witness_pid(s))]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        kill_server(old)
        seconds = promotion_seconds(cluster, old, within=15.0)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    figure(f"with {alive} witnesses of 3 promoted after {seconds:.2f} s")
    assert seconds > SETTINGS.down_after / 1000 - 1.1
    come_back(old)
    cluster.wait_until_healthy()
    assert (epoch(cluster), asked(cluster)) == (before[0] + 1, before[1])


def set_down_after(cluster: Cluster, milliseconds: int) -> None:
    for sentinel in cluster.sentinels:
        with sentinel.client() as client:
            words = ("SENTINEL", "SET", "mymaster", "down-after-milliseconds", str(milliseconds))
            client.execute_command(*words)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
