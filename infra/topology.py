"""The nodes of a cluster: names, fixed addresses and ports, computed from the layout alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import Literal

from infra.config import ClusterConfig, Layout
from infra.zones import hosts_of

Role = Literal["data", "sentinel", "worker", "monitoring"]

# What a cluster is called, after its prefix.
NETWORK = "redis-ha"
DATA_PORT = 6379
SENTINEL_PORT = 26379
SCRATCH_PORT = 6390
METRICS_PORT = 9390
REDIS_EXPORTER_PORT, HA_EXPORTER_PORT = 9121, 9122
PROMETHEUS_PORT, ALERTMANAGER_PORT = 9090, 9093
GATEWAY_HOST, FIRST_DATA_HOST, FIRST_SENTINEL_HOST, WORKER_HOST = 1, 11, 21, 31
REDIS_EXPORTER_HOST, HA_EXPORTER_HOST, PROMETHEUS_HOST, ALERTMANAGER_HOST = 41, 42, 43, 44
LAST_HOST = ALERTMANAGER_HOST


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
class Monitors:
    """Those who watch the cluster; the target makes them where the setting `monitoring` is on."""

    redis_exporter: Node
    ha_exporter: Node
    prometheus: Node
    alertmanager: Node

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All of them, exporters first."""
        return (self.redis_exporter, self.ha_exporter, self.prometheus, self.alertmanager)


@dataclass(frozen=True)
class Topology:
    """All members, data nodes and sentinels in the order in which they are numbered."""

    network: str
    subnet: IPv4Network
    gateway: str
    data_nodes: tuple[Node, ...]
    sentinels: tuple[Node, ...]
    worker: Node
    monitors: Monitors

    @property
    def initial_master(self) -> Node:
        """The node that the sentinels' seed names as master."""
        return self.data_nodes[0]


def arrange(config: ClusterConfig) -> Topology:
    """Lay the nodes out as the target has them: on one bridge, or one machine in each zone."""
    topology = lay_out(config.layout)
    return _in_zones(topology, config) if config.target == "aws" else topology


def lay_out(layout: Layout) -> Topology:
    """Give every node its name, address and port; an address may lie outside a small subnet.

    Data nodes get hosts .11 on, sentinels .21 on, the worker .31, the monitors .41 on, so counts
    up to 9 never touch.
    """

    def node(name: str, role: Role, *, host: int, port: int) -> Node:
        address = str(layout.subnet.network_address + host)
        return Node(name, role, address, port, f"{layout.name_prefix}{name}")

    offset = layout.port_offset
    return Topology(
        network=f"{layout.name_prefix}{NETWORK}",
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
        monitors=_monitors(layout),
    )


def _monitors(layout: Layout) -> Monitors:
    def node(name: str, *, host: int, port: int) -> Node:
        address = str(layout.subnet.network_address + host)
        container = f"{layout.name_prefix}{name}"
        return Node(name, "monitoring", address, port + layout.port_offset, container)

    return Monitors(
        redis_exporter=node("redis-exporter", host=REDIS_EXPORTER_HOST, port=REDIS_EXPORTER_PORT),
        ha_exporter=node("ha-exporter", host=HA_EXPORTER_HOST, port=HA_EXPORTER_PORT),
        prometheus=node("prometheus", host=PROMETHEUS_HOST, port=PROMETHEUS_PORT),
        alertmanager=node("alertmanager", host=ALERTMANAGER_HOST, port=ALERTMANAGER_PORT),
    )


def _in_zones(topology: Topology, config: ClusterConfig) -> Topology:
    """Put the data node and the sentinel of a number on one machine, ports as everywhere.

    A worker runs on each machine and one of them works; the topology names the first.
    """
    hosts = [str(host) for host in hosts_of(config.aws)]
    first, *_ = hosts
    return replace(
        topology,
        subnet=config.aws.vpc_cidr,
        gateway="",
        data_nodes=_moved(topology.data_nodes, hosts),
        sentinels=_moved(topology.sentinels, hosts),
        worker=replace(topology.worker, host=first),
    )


def _moved(nodes: tuple[Node, ...], hosts: Sequence[str]) -> tuple[Node, ...]:
    return tuple(replace(node, host=host) for node, host in zip(nodes, hosts, strict=True))
