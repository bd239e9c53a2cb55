"""Security groups and their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from typing_extensions import override

from toolchain.plugins.aws.account import wait_until
from toolchain.plugins.aws.ec2 import Ec2Type, tag_specifications
from toolchain.plugins.aws.kind import Properties, chosen_name
from toolchain.plugins.aws.network import default_group
from toolchain.plugins.aws.shapes import FLEXIBLE, NAME, TAGS, from_aws, names, tag_state, to_aws
from toolchain.plugins.base.schema import BOOLEAN, INTEGER, STRING, Schema, properties

if TYPE_CHECKING:
    from toolchain.plugins.aws.account import Account
    from toolchain.plugins.base.resource import Operation


class SecurityGroup(Ec2Type):
    """A group without rules: what AWS lets out by default is taken away."""

    noun, key, member, tagged = "security_group", "GroupId", "SecurityGroups", "security-group"
    schema = Schema(
        "aws:ec2/securityGroup:SecurityGroup",
        inputs={
            "description": STRING.but(default="Managed by Pulumi"),
            "name": NAME,
            "namePrefix": NAME,
            "revokeRulesOnDelete": BOOLEAN.but(replaces=False, default=False),
            "tags": TAGS,
            "vpcId": STRING.but(computed=True),
        },
        outputs=properties("arn ownerId tagsAll"),
        partial=True,
        named=True,
    )
    made_with = names("description vpcId", name="GroupName")
    seen_as = names("description ownerId vpcId", name="GroupName", arn="SecurityGroupArn")

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        return super().make({**inputs, "name": chosen_name(inputs)}, operation)

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if not old:
            self.revoke(identity)
        super().settle(identity, old, inputs, operation)

    def revoke(self, identity: str) -> None:
        """Take every rule away."""
        group = self.describe(identity) or {}
        for rules, call in (
            ("IpPermissions", self.api.revoke_security_group_ingress),
            ("IpPermissionsEgress", self.api.revoke_security_group_egress),
        ):
            if group.get(rules):
                call(GroupId=identity, IpPermissions=group[rules])

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        """Delete it, once the last interface has left it."""
        if state.get("revokeRulesOnDelete"):
            self.revoke(identity)
        remove = super().remove

        def removed() -> bool:
            try:
                remove(identity, state, operation)
            except ClientError as error:
                if error.response["Error"]["Code"] != "DependencyViolation":
                    raise
                return False
            return True

        wait_until(removed, what=f"group {identity} is free", lifetime=operation.lifetime)


class DefaultSecurityGroup(SecurityGroup):
    """The group that a VPC is born with, taken over and emptied; it can't be deleted."""

    schema = Schema(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        inputs={"tags": TAGS, "vpcId": STRING.but(required=True)},
        outputs=properties("arn description name ownerId tagsAll"),
        partial=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        identity = str(default_group(self.api, inputs["vpcId"])["GroupId"])
        self.tag(identity, None, inputs.get("tags"))
        return identity

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        """Leave it to its VPC."""


class SecurityGroupRule(Ec2Type):
    """One rule in one direction; it can be changed in place, but not moved to another group."""

    noun, key, member = "security_group_rule", "SecurityGroupRuleId", "SecurityGroupRules"
    tagged = "security-group-rule"
    seen_as = names(
        "cidrIpv4 cidrIpv6 description fromPort ipProtocol prefixListId securityGroupRuleId toPort",
        arn="SecurityGroupRuleArn",
        securityGroupId="GroupId",
    )
    _rule = names(
        "cidrIpv4 cidrIpv6 description fromPort ipProtocol prefixListId toPort",
        referencedSecurityGroupId="ReferencedGroupId",
    )

    def __init__(self, account: Account, *, direction: str) -> None:
        super().__init__(account)
        self._direction = direction
        name = f"SecurityGroup{direction.capitalize()}Rule"
        port = INTEGER.but(replaces=False)
        self.schema = Schema(
            f"aws:vpc/s{name[1:]}:{name}",
            inputs={
                "cidrIpv4": FLEXIBLE,
                "cidrIpv6": FLEXIBLE,
                "description": FLEXIBLE,
                "fromPort": port,
                "ipProtocol": FLEXIBLE.but(required=True),
                "prefixListId": FLEXIBLE,
                "referencedSecurityGroupId": FLEXIBLE,
                "securityGroupId": STRING.but(required=True),
                "tags": TAGS,
                "toPort": port,
            },
            outputs=properties("arn securityGroupRuleId tagsAll"),
            partial=True,
        )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        authorize = getattr(self.api, f"authorize_security_group_{self._direction}")
        answer = authorize(
            GroupId=inputs["securityGroupId"],
            IpPermissions=[permission(inputs)],
            TagSpecifications=tag_specifications(inputs.get("tags"), self.tagged),
        )
        return str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        wanted = to_aws(inputs, self._rule)
        if old and wanted != to_aws(old, self._rule):
            if inputs["ipProtocol"] == "-1":
                wanted = {**wanted, "FromPort": -1, "ToPort": -1}
            rule = {"SecurityGroupRuleId": identity, "SecurityGroupRule": wanted}
            self.api.modify_security_group_rules(
                GroupId=inputs["securityGroupId"], SecurityGroupRules=[rule]
            )
        super().settle(identity, old, inputs, operation)

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        described = self.describe(identity)
        if described is None:
            return None
        peer = described.get("ReferencedGroupInfo") or {}
        group = from_aws(peer, {"referencedSecurityGroupId": "GroupId"})
        seen = {**from_aws(described, self.seen_as), **group}
        if seen.get("ipProtocol") == "-1":  # then EC2 tells -1 for the ports as well
            seen = {n: value for n, value in seen.items() if n not in ("fromPort", "toPort")}
        return {**seen, **tag_state(described.get("Tags")), "securityGroupRuleId": identity}

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        revoke = getattr(self.api, f"revoke_security_group_{self._direction}")
        revoke(GroupId=state["securityGroupId"], SecurityGroupRuleIds=[identity])


def permission(inputs: Properties) -> Properties:
    """Give a rule as EC2's authorizing calls take it. Pure."""
    said = {"Description": inputs["description"]} if inputs.get("description") else {}
    sources: dict[str, tuple[str, str]] = {
        "cidrIpv4": ("IpRanges", "CidrIp"),
        "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
        "prefixListId": ("PrefixListIds", "PrefixListId"),
        "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    }
    peers: dict[str, Any] = {
        member: [{key: inputs[name], **said}]
        for name, (member, key) in sources.items()
        if inputs.get(name) is not None
    }
    return {**to_aws(inputs, names("ipProtocol fromPort toPort")), **peers}
