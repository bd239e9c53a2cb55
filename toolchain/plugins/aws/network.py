"""VPC, subnets, routes and endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from toolchain.plugins.aws.account import wait_until
from toolchain.plugins.aws.ec2 import Ec2Type
from toolchain.plugins.aws.kind import AwsType, Properties
from toolchain.plugins.aws.shapes import DOCUMENT, FLEXIBLE, TAGS, from_aws, names, to_aws
from toolchain.plugins.base.schema import BOOLEAN, STRING, STRING_SET, Schema, properties

if TYPE_CHECKING:
    from toolchain.plugins.base.resource import Operation

_IDS = STRING_SET.but(replaces=False, computed=True)


class Vpc(Ec2Type):
    """A network of its own."""

    noun, key, member, tagged = "vpc", "VpcId", "Vpcs", "vpc"
    schema = Schema(
        "aws:ec2/vpc:Vpc",
        inputs={
            "cidrBlock": STRING.but(required=True),
            "enableDnsHostnames": BOOLEAN.but(replaces=False, computed=True),
            "enableDnsSupport": BOOLEAN.but(replaces=False, default=True),
            "instanceTenancy": STRING.but(default="default"),
            "tags": TAGS,
        },
        outputs=properties("arn defaultSecurityGroupId ownerId tagsAll"),
        partial=True,
    )
    made_with = names("cidrBlock instanceTenancy")
    seen_as = names("cidrBlock instanceTenancy ownerId")

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        for name, attribute in names("enableDnsSupport enableDnsHostnames").items():
            if inputs.get(name) is not None:
                wanted = {attribute: {"Value": inputs[name]}}
                self.api.modify_vpc_attribute(VpcId=identity, **wanted)
        super().settle(identity, old, inputs, operation)

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen = super().look(identity, state)
        if seen is None:
            return None
        for name, attribute in names("enableDnsSupport enableDnsHostnames").items():
            answer = self.api.describe_vpc_attribute(VpcId=identity, Attribute=name)
            seen[name] = answer[attribute]["Value"]
        group = default_group(self.api, identity)
        region = self.api.meta.region_name
        arn = f"arn:{self.api.meta.partition}:ec2:{region}:{seen['ownerId']}:vpc/{identity}"
        return {**seen, "arn": arn, "defaultSecurityGroupId": group["GroupId"]}


def default_group(api: Any, vpc: str) -> dict[str, Any]:
    """Find the group that a VPC is born with."""
    filters = [
        {"Name": "vpc-id", "Values": [vpc]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    found: dict[str, Any] = api.describe_security_groups(Filters=filters)["SecurityGroups"][0]
    return found


class Subnet(Ec2Type):
    """One zone's part of a VPC."""

    noun, key, member, tagged = "subnet", "SubnetId", "Subnets", "subnet"
    schema = Schema(
        "aws:ec2/subnet:Subnet",
        inputs={
            "availabilityZone": STRING.but(computed=True),
            "cidrBlock": STRING,
            "mapPublicIpOnLaunch": BOOLEAN.but(replaces=False, default=False),
            "tags": TAGS,
            "vpcId": STRING.but(required=True),
        },
        outputs=properties("arn availabilityZoneId ownerId tagsAll"),
        partial=True,
    )
    made_with = names("availabilityZone cidrBlock vpcId")
    seen_as = names(
        "availabilityZone availabilityZoneId cidrBlock mapPublicIpOnLaunch ownerId vpcId",
        arn="SubnetArn",
    )

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        public = {"Value": inputs["mapPublicIpOnLaunch"]}
        self.api.modify_subnet_attribute(SubnetId=identity, MapPublicIpOnLaunch=public)
        super().settle(identity, old, inputs, operation)


class RouteTable(Ec2Type):
    """A table without routes of its own: the VPC's, and those that gateway endpoints add."""

    noun, key, member, tagged = "route_table", "RouteTableId", "RouteTables", "route-table"
    schema = Schema(
        "aws:ec2/routeTable:RouteTable",
        inputs={"tags": TAGS, "vpcId": STRING.but(required=True)},
        outputs=properties("ownerId tagsAll"),
        partial=True,
    )
    made_with = names("vpcId")
    seen_as = names("ownerId vpcId")


class RouteTableAssociation(AwsType):
    """Which table a subnet uses."""

    service = "ec2"
    schema = Schema(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        inputs={"routeTableId": FLEXIBLE.but(required=True), "subnetId": STRING.but(required=True)},
        partial=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        answer = self.api.associate_route_table(
            RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"]
        )
        return str(answer["AssociationId"])

    @override
    def update(
        self, identity: str, state: Properties, inputs: Properties, operation: Operation
    ) -> Properties:
        """Point the subnet to another table; EC2 gives the association a new id, which is found."""
        current = self._find(state) or {"RouteTableAssociationId": identity}
        self.api.replace_route_table_association(
            AssociationId=current["RouteTableAssociationId"], RouteTableId=inputs["routeTableId"]
        )
        return dict(inputs)

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        found = self._find(state)
        return None if found is None else from_aws(found, names("routeTableId subnetId"))

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        found = self._find(state)
        if found:
            self.api.disassociate_route_table(AssociationId=found["RouteTableAssociationId"])

    def _find(self, state: Properties) -> dict[str, Any] | None:
        filters = [{"Name": "association.subnet-id", "Values": [state["subnetId"]]}]
        tables = self.api.describe_route_tables(Filters=filters)["RouteTables"]
        links = (link for table in tables for link in table["Associations"])
        return next((link for link in links if link.get("SubnetId") == state["subnetId"]), None)


class VpcEndpoint(Ec2Type):
    """A way to one AWS service: a route (Gateway) or addresses in subnets (Interface)."""

    noun, key, member, tagged = "vpc_endpoint", "VpcEndpointId", "VpcEndpoints", "vpc-endpoint"
    schema = Schema(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        inputs={
            "policy": DOCUMENT.but(computed=True),
            "privateDnsEnabled": BOOLEAN.but(replaces=False, computed=True),
            "routeTableIds": _IDS,
            "securityGroupIds": _IDS,
            "serviceName": STRING.but(required=True),
            "subnetIds": _IDS,
            "tags": TAGS,
            "vpcEndpointType": STRING.but(default="Gateway"),
            "vpcId": STRING.but(required=True),
        },
        outputs=properties("networkInterfaceIds ownerId prefixListId state tagsAll"),
        partial=True,
    )
    made_with = names(
        "privateDnsEnabled routeTableIds securityGroupIds serviceName subnetIds vpcEndpointType "
        "vpcId",
        policy="PolicyDocument",
    )
    seen_as = names(
        "networkInterfaceIds ownerId privateDnsEnabled routeTableIds serviceName state subnetIds "
        "vpcEndpointType vpcId",
        policy="PolicyDocument",
    )

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if old:
            self._change(identity, old, inputs)
        super().settle(identity, old, inputs, operation)
        wait_until(
            lambda: self._state_of(identity) == "available",
            what=f"endpoint {identity} is available",
            lifetime=operation.lifetime,
        )

    def _change(self, identity: str, old: Properties, inputs: Properties) -> None:
        changed: Properties = {
            name: inputs[name]
            for name in ("policy", "privateDnsEnabled")
            if name in inputs and inputs[name] != old.get(name)
        }
        wanted = to_aws(changed, self.made_with)
        for name, noun in (
            ("routeTableIds", "RouteTable"),
            ("subnetIds", "Subnet"),
            ("securityGroupIds", "SecurityGroup"),
        ):
            before, after = set(old.get(name) or ()), set(inputs.get(name) or ())
            wanted[f"Add{noun}Ids"] = sorted(after - before)
            wanted[f"Remove{noun}Ids"] = sorted(before - after)
        wanted = {name: value for name, value in wanted.items() if value != []}
        if wanted:
            self.api.modify_vpc_endpoint(VpcEndpointId=identity, **wanted)

    def _state_of(self, identity: str) -> str:
        return str((self.describe(identity) or {}).get("State", "")).lower()

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        described = self.describe(identity)
        seen = super().look(identity, state)
        if described is None or seen is None or self._state_of(identity) == "deleted":
            return None
        groups = [group["GroupId"] for group in described.get("Groups") or ()]
        return {**seen, "securityGroupIds": groups, "prefixListId": self._prefix_list(seen)}

    def _prefix_list(self, seen: Properties) -> str | None:
        filters = [{"Name": "prefix-list-name", "Values": [seen["serviceName"]]}]
        lists = self.api.describe_prefix_lists(Filters=filters)["PrefixLists"]
        is_route = seen["vpcEndpointType"] == "Gateway"
        named = (each for each in lists if each["PrefixListName"] == seen["serviceName"])
        return next((str(each["PrefixListId"]) for each in named if is_route), None)

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        self.api.delete_vpc_endpoints(VpcEndpointIds=[identity])
        wait_until(
            lambda: self._state_of(identity) in ("", "deleted"),
            what=f"endpoint {identity} is gone",
            lifetime=operation.lifetime,
        )
