"""The zones of an AWS stack and the networks in them, computed from the settings alone."""

from ipaddress import IPv4Address, IPv4Network

from infra.config import Aws

SUBNET_PREFIX = 24


def zones_of(aws: Aws) -> tuple[str, ...]:
    """Name the zones: those of the settings, else a, b and c of the region."""
    return aws.zones or tuple(f"{aws.region}{letter}" for letter in "abc")


def subnets_of(aws: Aws) -> tuple[IPv4Network, ...]:
    """Give each zone its network: those of the settings, else the first /24s of the VPC.

    A VPC that holds fewer yields fewer; the planner says so.
    """
    if aws.subnet_cidrs:
        return aws.subnet_cidrs
    if aws.vpc_cidr.prefixlen > SUBNET_PREFIX:
        return ()
    parts = aws.vpc_cidr.subnets(new_prefix=SUBNET_PREFIX)
    return tuple(part for part, _ in zip(parts, zones_of(aws), strict=False))


def hosts_of(aws: Aws) -> tuple[IPv4Address, ...]:
    """Give each zone's node its address, the same host number in each network."""
    return tuple(network.network_address + aws.node_host for network in subnets_of(aws))
