"""Faults of the master: it is killed, stopped, restarted, erased. Real containers, real load."""

from collections.abc import Callable
from statistics import median

from redis_ha.discovery import ask_node
from tests.docker.stack import LiveCluster, docker, eventually
from tests.patience import at_best

Figure = Callable[[str], None]
DOWN_AFTER = 5.0
# How soon (s) another node is promoted; on a busy machine now and then only much later.
PROMOTED_WITHIN, SELDOM_WITHIN = DOWN_AFTER + 2, DOWN_AFTER + 10
ROUNDS = 3


def masters(cluster: LiveCluster, *, besides: str) -> list[str]:
    """Name the other nodes that say they are master: by ROLE, which is what accepts writes."""
    return [
        node
        for node, address in cluster.nodes.items()
        if node != besides and ask_node(cluster.access(), address).role == "master"
    ]


def new_master_after(cluster: LiveCluster, old: str) -> float:
    return eventually(
        lambda: masters(cluster, besides=old) != [], within=SELDOM_WITHIN, what="a new master"
    )


def sentinels_agree_after(cluster: LiveCluster, old: str) -> float:
    """Say how long the majority then took to name it: the leader looks at it once a second."""
    return eventually(
        lambda: cluster.master(other_than=old) != "", within=15, what="a majority for it"
    )


def returns_as_a_replica(cluster: LiveCluster, node: str) -> None:
    """Start the node and watch its role from its first answer on: it is never master."""
    docker("start", cluster.container(node))
    roles: set[str | None] = set()

    def is_replica() -> bool:
        roles.add(ask_node(cluster.access(), cluster.nodes[node]).role)
        return "slave" in roles

    eventually(is_replica, within=60, what=f"{node} back as a replica", every=0.02)
    assert "master" not in roles
    cluster.wait_until_healthy()


def test_killed_master_is_replaced_and_returns_as_a_replica(
    cluster: LiveCluster, figure: Figure
) -> None:
    promoted, named = [], []
    for _ in range(ROUNDS):
        old = cluster.master()
        docker("kill", cluster.container(old))
        promoted.append(new_master_after(cluster, old))
        named.append(promoted[-1] + sentinels_agree_after(cluster, old))
        returns_as_a_replica(cluster, old)
    figure(f"promoted after {sorted(round(seconds, 2) for seconds in promoted)} s")
    figure(f"named by a majority after {sorted(round(seconds, 2) for seconds in named)} s")
    assert median(promoted) < PROMOTED_WITHIN


def test_server_killed_inside_its_container_is_replaced(
    cluster: LiveCluster, figure: Figure
) -> None:
    def promoted_after() -> float:
        old = cluster.master()
        server = "kill -9 $(cat /proc/1/task/1/children)"
        docker("exec", cluster.container(old), "sh", "-c", server)
        seconds = new_master_after(cluster, old)
        cluster.wait_until_healthy()
        assert cluster.views()[old].role == "slave"
        return seconds

    figure(f"promoted after {at_best(promoted_after, under=PROMOTED_WITHIN):.2f} s")


def test_stopped_master_hands_over_and_no_acknowledged_write_is_lost(
    cluster: LiveCluster, figure: Figure
) -> None:
    old = cluster.master()
    with cluster.writers(4) as ledger:
        ledger.wait_for_writes(2000)
        docker("stop", cluster.container(old))
        assert len(masters(cluster, besides=old)) == 1
        ledger.wait_for_writes(2000)
    docker("start", cluster.container(old))
    cluster.wait_until_healthy()
    assert ledger.missing_on(cluster.client(cluster.master())) == []
    figure(f"{ledger.acknowledged} acknowledged, 0 lost, longest gap {ledger.longest_gap:.2f} s")


def test_master_restarted_with_an_empty_volume_takes_no_data_with_it(cluster: LiveCluster) -> None:
    cluster.client(cluster.master()).set("keep", "me")
    before = cluster.digests()
    old = cluster.master()
    docker("kill", cluster.container(old))
    volumes = ["--volumes-from", cluster.container(old), "--user", "0"]
    image = docker("inspect", "-f", "{{.Image}}", cluster.container(old))
    erase = ["--entrypoint", "find", image, "/data", "-mindepth", "1", "-delete"]
    docker("run", "--rm", *volumes, *erase)
    docker("start", cluster.container(old))
    cluster.wait_until_healthy()
    assert cluster.digests() == before
    assert cluster.client(cluster.master()).get("keep") == "me"


def test_whole_cluster_restarted_keeps_its_data(cluster: LiveCluster) -> None:
    cluster.client(cluster.master()).set("survives", "all")
    before = cluster.digests()
    everything = [cluster.container(n["name"]) for n in cluster.outputs["sentinels"]]
    everything += [cluster.container(node) for node in cluster.nodes]
    docker("kill", *everything)
    docker("start", *everything)
    cluster.wait_until_healthy()
    assert cluster.digests() == before
