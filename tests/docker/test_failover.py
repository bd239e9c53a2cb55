"""Faults of the master: it is killed, stopped, restarted, erased. Real containers, real load."""

from collections.abc import Callable

from redis_ha.discovery import ask_node
from tests.docker.stack import LiveCluster, docker, eventually

Figure = Callable[[str], None]
DOWN_AFTER = 5.0


def role(cluster: LiveCluster, node: str) -> str | None:
    return ask_node(cluster.access(), cluster.nodes[node]).role


def new_master_after(cluster: LiveCluster, old: str, *, within: float) -> float:
    return eventually(
        lambda: cluster.master(other_than=old) != "", within=within, what="a new master"
    )


def test_killed_master_is_replaced_and_returns_as_a_replica(
    cluster: LiveCluster, figure: Figure
) -> None:
    outages = []
    for _ in range(10):
        old = cluster.master()
        docker("kill", cluster.container(old))
        outages.append(new_master_after(cluster, old, within=DOWN_AFTER + 2))
        docker("start", cluster.container(old))
        roles = set()
        eventually(
            lambda: roles.add(role(cluster, old)) or "slave" in roles,  # noqa: B023
            within=60,
            what=f"{old} back as a replica",
            every=0.02,
        )
        assert "master" not in roles
        cluster.wait_until_healthy()
    figure(f"new master after {sorted(round(outage, 2) for outage in outages)} s")


def test_server_killed_inside_its_container_fails_over_at_once(
    cluster: LiveCluster, figure: Figure
) -> None:
    old = cluster.master()
    docker("exec", cluster.container(old), "pkill", "-9", "-x", "redis-server")
    took = new_master_after(cluster, old, within=DOWN_AFTER + 2)
    cluster.wait_until_healthy()
    figure(f"new master after {took:.2f} s")


def test_stopped_master_hands_over_and_no_acknowledged_write_is_lost(
    cluster: LiveCluster, figure: Figure
) -> None:
    old = cluster.master()
    with cluster.writers(4) as ledger:
        ledger.wait_for_writes(2000)
        docker("stop", cluster.container(old))
        assert cluster.master(other_than=old)
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
