"""Kinds of crash of a process, REDIS_HA_WITNESS_CRASHES times each, under both kinds of client."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from redis_ha.failover_test.hands import Injury
from tests.crashes import check, crash_again_and_again
from tests.processes.cluster import Cluster
from tests.processes.cluster_memory import MemoryGroup, exhaust, memory_groups
from tests.processes.cluster_process import Process
from tests.processes.redis_ha.process_hands import ProcessHands, site_of
from tests.processes.redis_ha.witnessed import FENCED, settle

CRASHES = int(os.environ.get("REDIS_HA_WITNESS_CRASHES", "2"))
pytestmark = pytest.mark.timeout(120 + 60 * CRASHES)
# What a server with a memory limit may still allocate (bytes).
ALLOWED = 4 << 20
Figure = Callable[[str], None]


@dataclass
class CrashingHands(ProcessHands):
    """Crashes a node in a way of its own."""

    crash: Callable[[Process], None] = Process.kill

    def inflict(self, injury: Injury) -> None:
        self.crash(self.cluster.node(injury.node))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start(tmp_path_factory.mktemp("crashes"), FENCED) as running:
        yield running


@pytest.fixture
def cluster(shared: Cluster) -> Cluster:
    """Give the module's cluster, healthy and watched, whatever the test before did to it."""
    return settle(shared)


def killed(node: Process) -> None:
    node.kill()


def without_grace(node: Process) -> None:
    """End the service as `docker stop -t 0` does: supervisor and server at once."""
    node.end()


def out_of_memory(node: Process) -> None:
    """Let the kernel kill the server for want of memory; what it allocates is nobody's data."""
    root, pid = memory_groups(), node.server_pid
    assert root is not None
    assert pid is not None
    with MemoryGroup.made(root) as group:
        group.take_in(pid)
        group.limit(group.used + ALLOWED)
        with node.client(timeout=20.0) as client:
            exhaust(client, 16 * ALLOWED)
        node.wait(10)
        assert group.kills == 1


@pytest.mark.parametrize("crash", [killed, without_grace, out_of_memory])
def test_a_crash_costs_no_more_than_promised(
    cluster: Cluster, tmp_path: Path, figure: Figure, crash: Callable[[Process], None]
) -> None:
    if crash is out_of_memory and memory_groups() is None:
        pytest.skip("this machine doesn't let us limit a process's memory")
    hands = CrashingHands(cluster, crash=crash)
    crashes = crash_again_and_again(
        site_of(cluster), hands, CRASHES, directory=tmp_path, figure=figure
    )
    check(crashes, down_after=FENCED.down_after / 1000)
