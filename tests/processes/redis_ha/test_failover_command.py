"""`redis-ha failover` on real servers: lossless, to a chosen node, by force, refused, killed."""

import time

import pytest

from redis_ha.discovery import ask_node
from tests.processes.cluster import Cluster
from tests.processes.ledger import Ledger
from tests.processes.redis_ha.operator_command import OperatorCommand

KILLER = "tests.processes.redis_ha.killed_operator"


def priorities(cluster: Cluster) -> list[str]:
    found = []
    for node in cluster.data_nodes:
        with node.client() as client:
            found.append(client.config_get("replica-priority")["replica-priority"])
    return found


def hurry(cluster: Cluster) -> None:
    """Let the sentinels look each second, not each ten: a test needn't wait for a priority."""
    for sentinel in cluster.sentinels:
        with sentinel.client() as client:
            client.execute_command("SENTINEL", "DEBUG", "info-period", "1000")


def test_three_switchovers_under_load_lose_nothing(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    with Ledger.running(cluster) as ledger:
        for _ in range(3):
            ledger.wait_for_writes(300)
            done = operator.json("failover", "--yes")
            assert done["lossless"]
            assert done["to"] == operator.name_of(cluster.master.address)
            assert done["write_gap_seconds"] < 2.0
            cluster.wait_until_healthy()
        ledger.wait_for_writes(300)
    assert ledger.lost(cluster) == []


def test_the_chosen_replica_is_promoted_and_its_priority_put_back(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    with Ledger.running(cluster) as ledger:
        for index in (1, 0):
            chosen = cluster.replicas[index]
            name = operator.name_of(chosen.address)
            done = operator.json("failover", "--yes", "--to", str(chosen.address))
            assert (done["to"], done["wanted"]) == (name, name)
            assert cluster.master is chosen
            assert priorities(cluster) == ["100"] * 3
            cluster.wait_until_healthy()
    assert ledger.lost(cluster) == []


def test_by_force_another_node_becomes_master(cluster: Cluster, operator: OperatorCommand) -> None:
    old = cluster.master
    done = operator.run("failover", "--force", "--yes")
    assert done.returncode == 0, done.stderr
    assert "writes may be lost" in done.stdout
    assert cluster.master is not old
    cluster.wait_until_healthy()


def test_what_cannot_be_safe_is_refused_with_the_reason(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    master, replica = cluster.master, cluster.replicas[0]
    unknown = operator.run("failover", "--to", "redis-9", "--yes")
    assert unknown.returncode == 3
    assert "redis-9" in unknown.stderr
    already = operator.run("failover", "--to", str(master.address), "--yes")
    assert already.returncode == 7
    assert "master already" in already.stderr
    unasked = operator.run("failover")
    assert unasked.returncode == 2
    with replica.client() as client:
        client.execute_command("ACL", "SETUSER", "sentinel", "-slaveof")
    denied = operator.run("failover", "--yes")
    assert denied.returncode == 7
    assert "may not SLAVEOF" in denied.stderr
    dry = operator.json("failover", "--dry-run", code=7)
    assert dry["refused"]
    with replica.client() as client:
        client.execute_command("ACL", "SETUSER", "sentinel", "+slaveof")
    for sentinel in cluster.sentinels[1:]:
        sentinel.stop()
    lost = operator.run("failover", "--yes")
    assert lost.returncode == 7
    assert "no majority" in lost.stderr
    assert ask_node(cluster.access(), master.address).role == "master"


STEPS = [
    ("after", "CONFIG SET", 1),
    ("before", "CLIENT PAUSE", 1),
    ("after", "CLIENT PAUSE", 1),
    ("after", "CLIENT PAUSE", 2),
    ("before", "SENTINEL FAILOVER", 1),
    ("after", "SENTINEL FAILOVER", 1),
    ("before", "REPLICAOF", 1),
    ("after", "REPLICAOF", 1),
    ("after", "CONFIG REWRITE", 1),
    ("after", "CLIENT UNPAUSE", 1),
    ("before", "CONFIG SET", 2),
    ("before", "CONFIG REWRITE", 2),
]


@pytest.mark.timeout(400)
def test_killed_at_any_step_the_cluster_heals_without_anyone(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    hurry(cluster)
    took: dict[str, float] = {}
    with Ledger.running(cluster) as ledger:
        for when, words, count in STEPS:
            chosen = str(cluster.replicas[0].address)
            arguments = (f"{when}:SIGKILL", words, str(count), "failover", "--yes", "--to", chosen)
            done = operator.run(*arguments, module=KILLER)
            assert done.returncode == -9, f"{when} {words}: {done.stdout}{done.stderr}"
            killed = time.monotonic()
            cluster.wait_until_healthy(10.0)
            ledger.wait_for_writes(100, timeout=10.0)
            cluster.wait_for(lambda: priorities(cluster) == ["100"] * 3, 10.0)
            took[f"{when} {words} {count}"] = round(time.monotonic() - killed, 2)
    assert ledger.lost(cluster) == []
    assert max(took.values()) < 10.0, took
    print(took)  # noqa: T201


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_interrupted_while_writes_are_paused_it_says_who_ends_it(
    cluster: Cluster, operator: OperatorCommand, name: str, code: int
) -> None:
    with Ledger.running(cluster, threads=2) as ledger:
        for words, count in (("CLIENT PAUSE", 1), ("SENTINEL FAILOVER", 1)):
            arguments = (f"after:{name}", words, str(count), "failover", "--yes")
            done = operator.run(*arguments, module=KILLER)
            assert done.returncode == code, done.stderr
            assert "its guard ends it" in done.stderr
            assert "Traceback" not in done.stderr
            cluster.wait_until_healthy(10.0)
            ledger.wait_for_writes(100, timeout=10.0)
    assert ledger.lost(cluster) == []
