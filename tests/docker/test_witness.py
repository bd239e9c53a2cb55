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
# How long a way is cut: less than down-after, again and shorter where a busy machine took too long
# to cut and to mend it; and then more than down-after.
SHORT, STILL_SHORT, LONG = (2.5, 1.8, 1.1), DOWN_AFTER - 1.5, 9.0
# What a container at its limit may still allocate (bytes).
ALLOWED = 4 << 20
Figure = Callable[[str], None]
# What cuts something, and what mends it.
Cut = tuple[Callable[[], object], Callable[[], object]]
Way = Callable[[LiveCluster], Cut]


def site_of(cluster: LiveCluster) -> Site:
    return find_site(None, cluster.env | {"REDIS_TLS_CA": str(cluster.ca)})


def hear(cluster: LiveCluster) -> Hearing:
    return hear_witnesses(cluster.access(), list(cluster.nodes.values()))


def all_heard(cluster: LiveCluster) -> Hearing:
    """Ask until all three have answered; return that hearing."""
    found: list[Hearing] = []

    def complete() -> bool:
        found[:] = [hear(cluster)]
        return len(found[0].reports) == 3

    eventually(complete, within=15, what="an answer of all three witnesses")
    return found[0]


def asked(cluster: LiveCluster) -> int:
    return sum(report.status.asked for report in all_heard(cluster).reports)


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


def off_the_network(cluster: LiveCluster, node: str) -> Cut:
    """Return what takes a container off its network, and what puts it back."""
    name = cluster.container(node)
    networks = json.loads(docker("inspect", name))[0]["NetworkSettings"]["Networks"]
    ((network, shown),) = networks.items()
    return (
        lambda: docker("network", "disconnect", network, name),
        lambda: docker("network", "connect", "--ip", shown["IPAddress"], network, name),
    )


def a_witness(cluster: LiveCluster) -> Cut:
    return off_the_network(cluster, cluster.outputs["sentinels"][0]["name"])


def a_replica(cluster: LiveCluster) -> Cut:
    master = cluster.master()
    return off_the_network(cluster, next(node for node in cluster.nodes if node != master))


def the_master(cluster: LiveCluster) -> Cut:
    return off_the_network(cluster, cluster.master())


def the_masters_answers(cluster: LiveCluster) -> Cut:
    """What the sentinels and witnesses send arrives, and nothing comes back."""
    hands, site = DockerHands(), site_of(cluster)
    victim: Member = site.data_node(cluster.master())
    injury = hands.prepare("asymmetric-partition", victim, sentinels=site.sentinels)
    return lambda: hands.inflict(injury), lambda: hands.heal(injury)


def cut_for(seconds: float, cut: Cut) -> float:
    """Cut and mend; return how long (s) it was cut at the most."""
    sever, mend = cut
    began = time.monotonic()
    sever()
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    mend()
    return time.monotonic() - began


@pytest.mark.parametrize("way", [a_witness, a_replica, the_master, the_masters_answers])
def test_a_short_cut_is_nobodys_death(calm: LiveCluster, figure: Figure, way: Way) -> None:
    lasted = [round(short_cut(calm, way), 1) for _ in range(REPEATS)]
    figure(f"no failover in cuts of {lasted} s")


def short_cut(cluster: LiveCluster, way: Way) -> float:
    """Cut until a cut was short, and fail where that led to a failover; return its length (s)."""
    lasted = []
    for seconds in SHORT:
        with no_request(cluster) as before:
            lasted.append(cut_for(seconds, way(cluster)))
        if lasted[-1] < STILL_SHORT:
            assert epoch(cluster) == before
            return lasted[-1]
    pytest.fail(f"no cut was short: {lasted}")


@pytest.mark.parametrize("way", [the_master, the_masters_answers])
def test_a_long_cut_is_sentinels_to_decide(calm: LiveCluster, way: Way) -> None:
    with no_request(calm) as before:
        sever, mend = way(calm)
        sever()
        time.sleep(LONG)
        mend()
    assert epoch(calm) == before + 1


def test_the_witnesses_show_in_the_operators_view(calm: LiveCluster) -> None:
    heard = all_heard(calm)
    assert [report.number for report in heard.reports] == [1, 2, 3]
    assert site_of(calm).witness_set is True
