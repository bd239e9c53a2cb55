"""A network without a way out: private subnets in three zones and endpoints to what nodes need.

Of a VPC that others use as well nothing is changed, and no endpoint goes into it: an endpoint's
private names and S3's route are for the whole VPC, and these let only this cluster through.

There is no internet gateway and no NAT. Nodes reach their bucket through the S3 gateway endpoint,
which costs nothing, and five AWS services through interface endpoints: what can't be reached can't
be used to carry data away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.targets.aws.policies import ENDPOINT_ACTIONS, endpoint_policy, store_endpoint_policy
from infra.targets.aws.surroundings import Surroundings
from infra.zones import subnets_of, zones_of


@dataclass(frozen=True)
class ExistingNetwork:
    """A VPC of the caller's: one subnet for each zone, with a way to the services of AWS."""

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]


class Network(pulumi.ComponentResource):
    """A VPC with one private subnet in each zone; `routed`: their routes are in place."""

    def __init__(
        self, name: str, around: Surroundings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:aws:Network", name, None, opts)
        self._around = around
        self._child = pulumi.ResourceOptions(parent=self)
        self.routed: list[pulumi.Resource] = []
        self._vpc = aws.ec2.Vpc(
            "vpc",
            cidr_block=str(around.plan.config.aws.vpc_cidr),
            enable_dns_support=True,
            # Interface endpoints answer under the services' own names.
            enable_dns_hostnames=True,
            tags=around.tags("vpc"),
            opts=self._child,
        )
        # The group that whoever names none gets: without rules it lets nothing in or out.
        aws.ec2.DefaultSecurityGroup(
            "default-group", vpc_id=self._vpc.id, tags=around.tags("default"), opts=self._child
        )
        self.routes = aws.ec2.RouteTable(
            "routes", vpc_id=self._vpc.id, tags=around.tags("routes"), opts=self._child
        )
        self.made = ExistingNetwork(self._vpc.id, self._subnets(self.routes))
        self.register_outputs({"vpcId": self._vpc.id, "subnetIds": list(self.made.subnet_ids)})

    def _subnets(self, routes: aws.ec2.RouteTable) -> list[pulumi.Output[str]]:
        settings = self._around.plan.config.aws
        made = []
        for zone, network in zip(zones_of(settings), subnets_of(settings), strict=True):
            subnet = aws.ec2.Subnet(
                f"subnet-{zone}",
                vpc_id=self._vpc.id,
                cidr_block=str(network),
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags=self._around.tags(zone),
                opts=self._child,
            )
            self.routed.append(
                aws.ec2.RouteTableAssociation(
                    f"routes-{zone}",
                    subnet_id=subnet.id,
                    route_table_id=routes.id,
                    opts=self._child,
                )
            )
            made.append(subnet.id)
        return made


class Endpoints(pulumi.ComponentResource):
    """The nodes' only ways out: S3 by a route, the other services by an address in each subnet.

    `all` are those that are there; `open_services` adds the addresses.
    """

    def __init__(
        self,
        name: str,
        around: Surroundings,
        network: Network,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("redis-ha:aws:Endpoints", name, None, opts)
        self._around = around
        self._network = network.made
        self._child = pulumi.ResourceOptions(parent=self)
        self.group = aws.ec2.SecurityGroup(
            "endpoints-group",
            name=f"{around.base}-endpoints",
            description="Interface endpoints, for the nodes only",
            vpc_id=self._network.vpc_id,
            tags=around.tags("endpoints"),
            opts=self._child,
        )
        store = aws.ec2.VpcEndpoint(
            "endpoint-s3",
            vpc_id=self._network.vpc_id,
            vpc_endpoint_type="Gateway",
            service_name=self._service("s3"),
            route_table_ids=[network.routes.id],
            policy=around.place.apply(store_endpoint_policy),
            tags=around.tags("s3"),
            opts=self._child,
        )
        self.store_prefix_list = store.prefix_list_id
        self.all: list[pulumi.Resource] = [store]
        self.register_outputs({"groupId": self.group.id})

    def open_services(self, after: Sequence[pulumi.Resource]) -> None:
        """Add the services' endpoints, which take any address that is free: `after` has its own."""
        self.all += [self._interface(service, after) for service in ENDPOINT_ACTIONS]

    def _interface(self, service: str, after: Sequence[pulumi.Resource]) -> aws.ec2.VpcEndpoint:
        return aws.ec2.VpcEndpoint(
            f"endpoint-{service}",
            vpc_id=self._network.vpc_id,
            vpc_endpoint_type="Interface",
            service_name=self._service(service),
            subnet_ids=list(self._network.subnet_ids),
            security_group_ids=[self.group.id],
            private_dns_enabled=True,
            policy=self._around.place.apply(lambda place: endpoint_policy(place, service)),
            tags=self._around.tags(service),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )

    def _service(self, name: str) -> str:
        return f"com.amazonaws.{self._around.plan.config.aws.region}.{name}"
