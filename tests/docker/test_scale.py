"""More and fewer nodes, under load: nothing acknowledged is lost, and nobody gone is remembered."""

from collections.abc import Callable

import pytest

from redis_ha.connection import Address
from tests.docker.stack import LiveCluster, Stack, docker
from tests.long import LONG
from tests.processes.ledger import Ledger

Figure = Callable[[str], None]
# The long form goes up to 5 and back, as a cluster would that grows for a while.


def listed(cluster: LiveCluster) -> set[Address]:
    """Everybody whom any sentinel lists."""
    access, found = cluster.access(), set()
    for sentinel in access.sentinels:
        with access.connect(sentinel) as client:
            rows = [*client.sentinel_slaves(access.master_name)]
            rows += list(client.sentinel_sentinels(access.master_name))
            found |= {Address(row["ip"], row["port"]) for row in rows}
    return found


def addresses(cluster: LiveCluster) -> set[Address]:
    return {*cluster.nodes.values(), *cluster.access().sentinels}


def scale(stack: Stack, *options: str) -> LiveCluster:
    stack.redis_ha("scale", *options, "--yes")
    cluster = LiveCluster.of(stack)
    cluster.wait_until_healthy()
    return cluster


def account(cluster: LiveCluster, ledger: Ledger) -> str:
    assert ledger.missing_on(cluster.client(cluster.master())) == []
    return f"{ledger.acknowledged} acknowledged, 0 lost, longest gap {ledger.longest_gap:.2f} s"


def identities(cluster: LiveCluster) -> dict[str, str]:
    names = [node["name"] for node in (*cluster.outputs["nodes"], *cluster.outputs["sentinels"])]
    return {name: docker("inspect", "-f", "{{.Id}}", cluster.container(name)) for name in names}


@pytest.mark.timeout(900)
def test_replicas_come_and_go_even_when_the_master_is_among_them(
    stack: Stack, cluster: LiveCluster, figure: Figure
) -> None:
    old = identities(cluster)
    with cluster.writers(2) as ledger:
        grown = scale(stack, "5" if LONG else "3")
        ledger.wait_for_writes(200)
    figure(f"grown to {len(grown.nodes)} data nodes: {account(grown, ledger)}")
    assert {name: each for name, each in identities(grown).items() if name in old} == old
    last = max(grown.nodes)
    stack.redis_ha("failover", "--to", last, "--yes")
    grown.wait_until_healthy()
    assert grown.master() == last
    with grown.writers(2) as ledger:
        shrunk = scale(stack, "2")
        ledger.wait_for_writes(200)
    figure(f"shrunk to 3, its master among those who left: {account(shrunk, ledger)}")
    assert len(shrunk.digests()) == 1
    assert listed(shrunk) <= addresses(shrunk)
    assert identities(shrunk) == old
    assert set(stack.changes()) == {"same"}
    cluster.renew()


@pytest.mark.timeout(900)
def test_sentinels_come_and_go(stack: Stack, cluster: LiveCluster, figure: Figure) -> None:
    old = identities(cluster)
    with cluster.writers(2) as ledger:
        grown = scale(stack, "--sentinels", "5")
        assert len(grown.access().sentinels) == 5
        shrunk = scale(stack, "--sentinels", "3")
        ledger.wait_for_writes(200)
    figure(f"5 sentinels and back to 3: {account(shrunk, ledger)}")
    assert listed(shrunk) == addresses(shrunk) - {shrunk.nodes[shrunk.master()]}
    assert identities(shrunk) == old
    with shrunk.access().connect(shrunk.access().sentinels[0]) as client:
        said = client.execute_command("SENTINEL", "CKQUORUM", shrunk.access().master_name)
    assert "3 usable" in str(said)
    cluster.renew()
    stack.redis_ha("ready")
