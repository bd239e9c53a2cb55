"""The witnesses on real containers and networks: crashes of each kind, and events that are none."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from redis_ha.discovery import ask_sentinels
from redis_ha.failover_test.docker_hands import DockerHands
from redis_ha.failover_test.hands import Injury
from redis_ha.locating import find_site
from redis_ha.site import Member, Site
from redis_ha.witness.hearing import Hearing, hear_witnesses
from tests.crashes import check, crash_again_and_again
from tests.docker.stack import LiveCluster, docker, eventually

CRASHES = int(os.environ.get("REDIS_HA_WITNESS_CRASHES", "2"))
REPEATS = int(os.environ.get("REDIS_HA_WITNESS_CALM", "1"))
pytestmark = pytest.mark.timeout(300 + 60 * max(CRASHES, REPEATS))
DOWN_AFTER = 5.0
# How long a way is cut: less than down-after, and then more.
SHORT, LONG = 2.5, 9.0
# What a container at its limit may still allocate (bytes).
ALLOWED = 4 << 20
Figure = Callable[[str], None]
# Cuts something and returns what mends it.
Cut = Callable[[LiveCluster], Callable[[], object]]


def site_of(cluster: LiveCluster) -> Site:
    return find_site(None, cluster.env | {"REDIS_TLS_CA": str(cluster.ca)})


def hear(cluster: LiveCluster) -> Hearing:
    return hear_witnesses(cluster.access(), list(cluster.nodes.values()))


def asked(cluster: LiveCluster) -> int:
    return sum(report.status.asked for report in hear(cluster).reports)


def epoch(cluster: LiveCluster) -> int:
    return max(view.config_epoch for view in ask_sentinels(cluster.access()))


def watched(cluster: LiveCluster) -> bool:
    reports = hear(cluster).reports
    return len(reports) == 3 and not any(report.trouble for report in reports)


@pytest.fixture
def calm(cluster: LiveCluster) -> LiveCluster:
    """Give the cluster, healthy and with every witness at its work."""
    eventually(lambda: watched(cluster), within=30, what="three witnesses that watch")
    return cluster


@dataclass
class Killed(DockerHands):
    """As the failover test does it: docker kill."""


@dataclass
class WithoutGrace(DockerHands):
    """The service is stopped, and killed at once: nobody hands over, though it may have begun."""

    def inflict(self, injury: Injury) -> None:
        docker("stop", "--time", "0", injury.details["container"])


@dataclass
class OutOfMemory(DockerHands):
    """The kernel kills the server in its container; what it allocated is nobody's data."""

    cluster: LiveCluster | None = None
    limits: dict[str, str] = field(default_factory=dict)

    def inflict(self, injury: Injury) -> None:
        name = injury.details["container"]
        form = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}"
        self.limits[name] = docker("inspect", "-f", form, name)
        killed = "{{.State.OOMKilled}} {{.RestartCount}} {{.State.StartedAt}}"
        before = docker("inspect", "-f", killed, name)
        limit = str(used(name) + ALLOWED)
        docker("update", "--memory", limit, "--memory-swap", limit, name)
        assert self.cluster is not None
        exhaust = ["DEBUG", "POPULATE", "1", "exhausted", str(64 * ALLOWED)]
        self.cluster.inside(injury.node, *exhaust, check=False)
        eventually(
            lambda: docker("inspect", "-f", killed, name) != before,
            within=10,
            what=f"an out-of-memory kill in {name}",
        )

    def heal(self, injury: Injury) -> None:
        name = injury.details["container"]
        if limits := self.limits.pop(name, ""):
            memory, swap = limits.split()
            docker("update", "--memory", memory, "--memory-swap", swap, name)
        super().heal(injury)


def used(container: str) -> int:
    """Return what a container's cgroup is charged with, of version 1 or 2."""
    files = "/sys/fs/cgroup/memory/memory.usage_in_bytes /sys/fs/cgroup/memory.current"
    return int(docker("exec", container, "sh", "-c", f"cat {files} 2>/dev/null || true"))


@pytest.mark.parametrize("kind", ["killed", "without grace", "out of memory"])
def test_a_crash_costs_no_more_than_promised(
    calm: LiveCluster, tmp_path: Path, figure: Figure, kind: str
) -> None:
    hands = {
        "killed": Killed(),
        "without grace": WithoutGrace(),
        "out of memory": OutOfMemory(cluster=calm),
    }[kind]
    crashes = crash_again_and_again(
        site_of(calm), hands, CRASHES, directory=tmp_path, figure=figure
    )
    check(crashes, down_after=DOWN_AFTER, warned=kind == "without grace")


@contextmanager
def no_request(cluster: LiveCluster) -> Iterator[int]:
    """Fail when a witness asks for a failover in the block; give the epoch before it."""
    before = asked(cluster)
    yield epoch(cluster)
    cluster.wait_until_healthy()
    eventually(lambda: watched(cluster), within=30, what="three witnesses that watch again")
    assert asked(cluster) == before


def off_the_network(cluster: LiveCluster, node: str) -> Callable[[], object]:
    """Take a container off its network; return what puts it back."""
    name = cluster.container(node)
    networks = json.loads(docker("inspect", name))[0]["NetworkSettings"]["Networks"]
    ((network, shown),) = networks.items()
    docker("network", "disconnect", network, name)
    return lambda: docker("network", "connect", "--ip", shown["IPAddress"], network, name)


def a_witness(cluster: LiveCluster) -> Callable[[], object]:
    return off_the_network(cluster, cluster.outputs["sentinels"][0]["name"])


def a_replica(cluster: LiveCluster) -> Callable[[], object]:
    master = cluster.master()
    return off_the_network(cluster, next(node for node in cluster.nodes if node != master))


def the_master(cluster: LiveCluster) -> Callable[[], object]:
    return off_the_network(cluster, cluster.master())


def the_masters_answers(cluster: LiveCluster) -> Callable[[], object]:
    """What the sentinels and witnesses send arrives, and nothing comes back."""
    hands, site = DockerHands(), site_of(cluster)
    victim: Member = site.data_node(cluster.master())
    injury = hands.prepare("asymmetric-partition", victim, sentinels=site.sentinels)
    hands.inflict(injury)
    return lambda: hands.heal(injury)


@pytest.mark.parametrize("cut", [a_witness, a_replica, the_master, the_masters_answers])
def test_a_short_cut_is_nobodys_death(calm: LiveCluster, figure: Figure, cut: Cut) -> None:
    for _ in range(REPEATS):
        with no_request(calm) as before:
            mend = cut(calm)
            time.sleep(SHORT)
            mend()
        assert epoch(calm) == before
    figure(f"{REPEATS} events, no failover")


@pytest.mark.parametrize("cut", [the_master, the_masters_answers])
def test_a_long_cut_is_sentinels_to_decide(calm: LiveCluster, cut: Cut) -> None:
    with no_request(calm) as before:
        mend = cut(calm)
        time.sleep(LONG)
        mend()
    assert epoch(calm) == before + 1


def test_the_witnesses_show_in_the_operators_view(calm: LiveCluster) -> None:
    heard = hear(calm)
    assert [report.number for report in heard.reports] == [1, 2, 3]
    assert site_of(calm).witness_set is True
