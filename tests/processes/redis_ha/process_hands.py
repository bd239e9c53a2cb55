"""Faults of processes that a test started: SIGKILL and SIGSTOP, and how they are healed."""

from dataclasses import dataclass

from redis_ha.discovery import Access
from redis_ha.failover_test.hands import Injury, InsideClient
from redis_ha.failover_test.records import Fault
from redis_ha.site import Member, Site, named
from tests.processes.cluster import Cluster


@dataclass
class ProcessHands:
    """Hurts the data nodes of a cluster on loopback; a network between them can't be cut."""

    cluster: Cluster
    faults: frozenset[Fault] = frozenset({"crash", "hang"})

    def prepare(self, fault: Fault, victim: Member, *, sentinels: tuple[Member, ...]) -> Injury:
        return Injury(fault, victim.name)

    def inflict(self, injury: Injury) -> None:
        node = self.cluster.node(injury.node)
        node.kill() if injury.fault == "crash" else node.pause()

    def heal(self, injury: Injury) -> None:
        node = self.cluster.node(injury.node)
        if injury.fault == "hang":
            node.resume()
        elif not node.running:
            node.start()

    def inside(self, victim: Member, access: Access, *, key: str) -> InsideClient | None:
        return None


def site_of(cluster: Cluster) -> Site:
    """Describe a cluster on loopback as the commands see it."""
    return Site(
        operator=cluster.access("operator"),
        app=cluster.access("app"),
        data_nodes=named([node.address for node in cluster.data_nodes], "redis"),
        sentinels=named([node.address for node in cluster.sentinels], "sentinel"),
        complete=True,
    )
