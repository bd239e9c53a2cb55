"""Who may speak to the nodes: rules that name groups, never addresses.

A rule that names a group stays right when machines come and go, and opens nothing to whoever else
gets an address in the same network.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.planner import Plan
from infra.targets.aws.network import Endpoints
from infra.targets.aws.surroundings import Surroundings
from infra.topology import METRICS_PORT, SCRATCH_PORT, Node

HTTPS_PORT = 443


@dataclass(frozen=True)
class Ports:
    """One range of TCP ports, both ends included, and what listens there."""

    what: str
    first: int
    last: int


def cluster_ports(plan: Plan) -> tuple[Ports, Ports]:
    """Say where data nodes and sentinels listen; clients need both."""
    return (
        _span("redis", plan.topology.data_nodes),
        _span("sentinel", plan.topology.sentinels),
    )


def metrics_ports(plan: Plan) -> tuple[Ports, ...]:
    """Say where a machine tells Prometheus of itself."""
    monitors = plan.topology.monitors
    redis, cluster = monitors.redis_exporter.port, monitors.ha_exporter.port
    return (
        Ports("backup-metrics", METRICS_PORT, METRICS_PORT),
        Ports("redis-metrics", redis, redis),
        Ports("cluster-metrics", cluster, cluster),
    )


# A live restore makes every data node follow a server beside the worker.
SCRATCH = Ports("restore", SCRATCH_PORT, SCRATCH_PORT)


@dataclass(frozen=True)
class GroupsArgs:
    """The VPC, the ways out (None: the VPC's own), and who else may come in."""

    around: Surroundings
    vpc_id: pulumi.Input[str]
    endpoints: Endpoints | None
    clients: Sequence[pulumi.Input[str]] = field(default_factory=tuple)
    monitoring: Sequence[pulumi.Input[str]] = field(default_factory=tuple)


class SecurityGroups(pulumi.ComponentResource):
    """The nodes' group, one that a client's machine takes to be let in, and all their rules."""

    def __init__(
        self, name: str, args: GroupsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:aws:SecurityGroups", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.rules: list[pulumi.Resource] = []
        self.nodes = self._group("nodes", "Redis nodes of this cluster")
        self.clients = self._group("clients", "Take this group to reach the Redis cluster")
        self._among_nodes()
        self._from_clients()
        self._from_monitoring()
        self._to_services()
        self.register_outputs({"nodes": self.nodes.id, "clients": self.clients.id})

    def _among_nodes(self) -> None:
        for ports in (*cluster_ports(self._args.around.plan), SCRATCH):
            self._let_in(f"nodes-{ports.what}", self.nodes.id, ports)
            self._let_out(f"nodes-{ports.what}", self.nodes.id, ports, to=self.nodes.id)

    def _from_clients(self) -> None:
        for ports in cluster_ports(self._args.around.plan):
            self._let_out(f"clients-{ports.what}", self.clients.id, ports, to=self.nodes.id)
            for who, group in self._named("clients", [self.clients.id, *self._args.clients]):
                self._let_in(f"{who}-{ports.what}", group, ports)

    def _from_monitoring(self) -> None:
        for ports in metrics_ports(self._args.around.plan):
            for who, group in self._named("monitoring", self._args.monitoring):
                self._let_in(f"{who}-{ports.what}", group, ports)

    def _to_services(self) -> None:
        endpoints, https = self._args.endpoints, Ports("services", HTTPS_PORT, HTTPS_PORT)
        if endpoints is None:
            # The VPC's own endpoints or NAT: where they are is its owner's to know, as are routes.
            self._egress("nodes-services", self.nodes.id, https, cidr_ipv4="0.0.0.0/0")
            return
        self._let_out("nodes-services", self.nodes.id, https, to=endpoints.group.id)
        self._egress("nodes-s3", self.nodes.id, https, prefix_list_id=endpoints.store_prefix_list)
        self._let_in("endpoints", self.nodes.id, https, into=endpoints.group.id)

    def _named(
        self, who: str, groups: Sequence[pulumi.Input[str]]
    ) -> Iterator[tuple[str, pulumi.Input[str]]]:
        for number, group in enumerate(groups):
            yield (f"{who}-{number}" if number else who), group

    def _let_in(
        self,
        name: str,
        source: pulumi.Input[str],
        ports: Ports,
        into: pulumi.Input[str] | None = None,
    ) -> None:
        rule = aws.vpc.SecurityGroupIngressRule(
            f"in-{name}",
            security_group_id=into or self.nodes.id,
            referenced_security_group_id=source,
            ip_protocol="tcp",
            from_port=ports.first,
            to_port=ports.last,
            description=f"{ports.what} for {name.partition('-')[0]}",
            tags=self._args.around.tags(f"in-{name}"),
            opts=self._child,
        )
        self.rules.append(rule)

    def _let_out(
        self, name: str, group: pulumi.Input[str], ports: Ports, *, to: pulumi.Input[str]
    ) -> None:
        self._egress(name, group, ports, referenced_security_group_id=to)

    def _egress(
        self, name: str, group: pulumi.Input[str], ports: Ports, **target: pulumi.Input[str]
    ) -> None:
        rule = aws.vpc.SecurityGroupEgressRule(
            f"out-{name}",
            security_group_id=group,
            ip_protocol="tcp",
            from_port=ports.first,
            to_port=ports.last,
            description=f"{ports.what} from {name.partition('-')[0]}",
            tags=self._args.around.tags(f"out-{name}"),
            opts=self._child,
            **target,
        )
        self.rules.append(rule)

    def _group(self, name: str, description: str) -> aws.ec2.SecurityGroup:
        return aws.ec2.SecurityGroup(
            f"{name}-group",
            name=f"{self._args.around.base}-{name}",
            description=description,
            vpc_id=self._args.vpc_id,
            tags=self._args.around.tags(name),
            opts=self._child,
        )


def _span(what: str, nodes: Sequence[Node]) -> Ports:
    ports = [node.port for node in nodes]
    return Ports(what, min(ports), max(ports))
