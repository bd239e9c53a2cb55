"""Rules that every resource of the cluster passes before it is registered, whoever declares it.

They fail the preview: no open ingress, nothing at rest without encryption, no wildcard in what a
policy allows, no public address. `violations` is pure: properties in, reasons out, by their names
in Python; a property whose value isn't known yet counts as set.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import pulumi

from infra.errors import GuardrailBroken

Properties = Mapping[str, Any]
Rule = Callable[[Properties], Iterator[str]]

PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8")))
POLICIES = ("policy", "assume_role_policy")
PUBLIC_BY_NATURE = (
    *("aws:ec2/eip:Eip", "aws:ec2/eipAssociation:EipAssociation"),
    *("aws:ec2/internetGateway:InternetGateway", "aws:ec2/natGateway:NatGateway"),
    "aws:ec2/keyPair:KeyPair",
)


def violations(kind: str, properties: Properties) -> list[str]:
    """Say what is wrong with a resource of a type token; [] when nothing is."""
    if kind in PUBLIC_BY_NATURE:
        return ["it opens a way from or to the outside"]
    return list(RULES[kind](properties)) if kind in RULES else []


def wildcards(policy: str) -> list[str]:
    """List the actions of a policy document that allow more than they name."""
    statements = json.loads(policy)["Statement"]
    allowed = [s for s in _listed(statements) if s["Effect"] == "Allow"]
    actions = [action for s in allowed for action in _listed(s.get("Action", "*"))]
    return [action for action in actions if "*" in action or "?" in action]


def guard(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
    """Refuse a child that breaks a rule; a policy is read as soon as its text is known.

    Errors: GuardrailBroken.
    """
    found = violations(args.type_, args.props)
    if found:
        raise _broken(args, found)
    read = {name: _guarded(args, args.props[name]) for name in POLICIES if args.props.get(name)}
    return pulumi.ResourceTransformationResult({**args.props, **read}, args.opts)


def _guarded(
    args: pulumi.ResourceTransformationArgs, policy: pulumi.Input[str]
) -> pulumi.Output[str]:
    def check(text: str) -> str:
        found = wildcards(text)
        if found:
            raise _broken(args, [f"a policy allows {', '.join(found)}"])
        return text

    return pulumi.Output.from_input(policy).apply(check)


def _broken(args: pulumi.ResourceTransformationArgs, found: list[str]) -> GuardrailBroken:
    return GuardrailBroken(
        f"refuse {args.name} ({args.type_}): {'; '.join(found)}; change the program, or declare "
        "the resource outside the cluster"
    )


def _ingress(properties: Properties) -> Iterator[str]:
    for name in ("cidr_ipv4", "cidr_ipv6"):
        source = properties.get(name)
        if isinstance(source, str) and not _is_private(ip_network(source)):
            yield f"it lets in everybody from {source}"


def _security_group(properties: Properties) -> Iterator[str]:
    if properties.get("ingress") or properties.get("egress"):
        yield "its rules stand in the group itself, where these rules don't see them"


def _volume(properties: Properties) -> Iterator[str]:
    if not properties.get("encrypted"):
        yield "it is not encrypted"


def _instance(properties: Properties) -> Iterator[str]:
    root = properties.get("root_block_device") or {}
    if not root.get("encrypted"):
        yield "its root volume is not encrypted"
    if (properties.get("metadata_options") or {}).get("http_tokens") != "required":
        yield "its metadata can be read without a token (IMDSv1)"
    if properties.get("associate_public_ip_address"):
        yield "it has a public address"
    if properties.get("key_name"):
        yield "it can be entered by SSH"


def _subnet(properties: Properties) -> Iterator[str]:
    if properties.get("map_public_ip_on_launch"):
        yield "its machines get public addresses"


def _key(properties: Properties) -> Iterator[str]:
    if not properties.get("enable_key_rotation"):
        yield "it is never renewed"


def _private_bucket(properties: Properties) -> Iterator[str]:
    for name in (
        *("block_public_acls", "block_public_policy"),
        *("ignore_public_acls", "restrict_public_buckets"),
    ):
        if not properties.get(name):
            yield f"{name} is off"


def _under_key(name: str) -> Rule:
    def rule(properties: Properties) -> Iterator[str]:
        if not properties.get(name):
            yield f"it is not under a key of the stack ({name})"

    return rule


RULES: Mapping[str, Rule] = {
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress,
    "aws:ec2/securityGroup:SecurityGroup": _security_group,
    "aws:ebs/volume:Volume": _volume,
    "aws:ec2/instance:Instance": _instance,
    "aws:ec2/subnet:Subnet": _subnet,
    "aws:kms/key:Key": _key,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _private_bucket,
    "aws:secretsmanager/secret:Secret": _under_key("kms_key_id"),
    "aws:cloudwatch/logGroup:LogGroup": _under_key("kms_key_id"),
    "aws:sns/topic:Topic": _under_key("kms_master_key_id"),
}


def _is_private(source: IPv4Network | IPv6Network) -> bool:
    return any(source.version == own.version and source.subnet_of(own) for own in PRIVATE)  # type: ignore[arg-type]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
