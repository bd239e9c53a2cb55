"""The nodes of a cluster: names, fixed addresses and ports, computed from the layout alone."""

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

from infra.config import Layout

Role = Literal["data", "sentinel", "worker"]

DATA_PORT = 6379
SENTINEL_PORT = 26379
SCRATCH_PORT = 6390
METRICS_PORT = 9390
GATEWAY_HOST, FIRST_DATA_HOST, FIRST_SENTINEL_HOST, WORKER_HOST = 1, 11, 21, 31


@dataclass(frozen=True)
class Node:
    """One member of the cluster: an IPv4 address and a port that are the same for every client.

    `name` says its place and is the same in every stack; `container` is unique on the host.
    """

    name: str
    role: Role
    host: str
    port: int
    container: str


@dataclass(frozen=True)
class Topology:
    """All members, data nodes and sentinels in the order in which they are numbered."""

    network: str
    subnet: IPv4Network
    gateway: str
    data_nodes: tuple[Node, ...]
    sentinels: tuple[Node, ...]
    worker: Node

    @property
    def initial_master(self) -> Node:
        """The node that the sentinels' seed names as master."""
        return self.data_nodes[0]


def lay_out(layout: Layout) -> Topology:
    """Give every node its name, address and port; an address may lie outside a small subnet.

    Data nodes get hosts .11 on, sentinels .21 on, the worker .31, so counts up to 9 never touch.
    """

    def node(name: str, role: Role, *, host: int, port: int) -> Node:
        address = str(layout.subnet.network_address + host)
        return Node(name, role, address, port, f"{layout.name_prefix}{name}")

    offset = layout.port_offset
    return Topology(
        network=f"{layout.name_prefix}redis-ha",
        subnet=layout.subnet,
        gateway=str(layout.subnet.network_address + GATEWAY_HOST),
        data_nodes=tuple(
            node(f"redis-{i + 1}", "data", host=FIRST_DATA_HOST + i, port=DATA_PORT + offset + i)
            for i in range(layout.replicas + 1)
        ),
        sentinels=tuple(
            node(
                f"sentinel-{i + 1}",
                "sentinel",
                host=FIRST_SENTINEL_HOST + i,
                port=SENTINEL_PORT + offset + i,
            )
            for i in range(layout.sentinels)
        ),
        worker=node("backup-worker", "worker", host=WORKER_HOST, port=SCRATCH_PORT),
    )
