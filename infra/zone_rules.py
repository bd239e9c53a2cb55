"""What the planner refuses on AWS: zones, networks, machines and volumes that would not hold.

The same form as infra.planner's rules: a pure function of the configuration that yields a Problem
for each thing it refuses.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

from infra.config import ClusterConfig, MiB
from infra.errors import Problem
from infra.machines import MACHINES, MINIMUM_MEMORY_GB, MINIMUM_VCPUS
from infra.zones import hosts_of, subnets_of, zones_of

GiB = 1 << 30
# What the system, the agents and the page cache need beside our processes (MiB).
SYSTEM_MB = 768
# EC2: a gp3 volume has at most 500 IOPS a GiB, and 0.25 MiB/s an IOPS.
IOPS_PER_GB, IOPS_PER_MIB = 500, 4
# EC2 takes networks from a /16 to a /28, and keeps the last address of each for itself.
LARGEST_PREFIX, SMALLEST_PREFIX = 16, 28
# What backup_worker.proving.drill asks to have free for the data, in percent of it, and what the
# worker itself takes.
DRILL_PERCENT, WORKER_MB = 110, 150
# The append-only file, its rewritten successor and the RDB.
COPIES_ON_DISK = 3

ZoneRule = Callable[[ClusterConfig], Iterator[Problem]]


def _region(config: ClusterConfig) -> Iterator[Problem]:
    region = config.aws.region
    if region.startswith(("cn-", "us-gov-", "us-iso")):
        yield Problem(
            "region",
            region,
            "names of services and images differ in that partition, and nobody tried it",
            "set a region of the commercial partition",
        )


def _zones(config: ClusterConfig) -> Iterator[Problem]:
    zones, sentinels = zones_of(config.aws), config.layout.sentinels
    shown = ", ".join(zones)
    if len(set(zones)) < 3:
        yield Problem(
            "zones",
            shown,
            "the loss of one zone can take the majority of the sentinels with it, and then nothing "
            "fails over",
            "name three different zones",
        )
    elif len(zones) != sentinels or len(zones) != config.layout.replicas + 1:
        yield Problem(
            "zones",
            shown,
            f"each zone gets one data node and one sentinel, but there are "
            f"{config.layout.replicas + 1} data nodes and {sentinels} sentinels",
            f"name {sentinels} zones and set replicas to {sentinels - 1}",
        )
    for zone in (z for z in zones if not z.startswith(config.aws.region)):
        yield Problem(
            "zones", zone, f"it is not in {config.aws.region}", "set region or name its zones"
        )


def _subnets(config: ClusterConfig) -> Iterator[Problem]:
    aws = config.aws
    networks, wanted = subnets_of(aws), len(zones_of(aws))
    setting = "subnetCidrs" if aws.subnet_cidrs else "vpcCidr"
    shown = ", ".join(map(str, aws.subnet_cidrs)) or str(aws.vpc_cidr)
    if len(networks) != wanted:
        remedy = "name one for each zone" if aws.subnet_cidrs else "set a /22 or larger"
        yield Problem(
            setting, shown, f"it gives {len(networks)} subnets for {wanted} zones", remedy
        )
    for one, other in combinations(networks, 2):
        if one.overlaps(other):
            yield Problem(
                setting,
                f"{one}, {other}",
                "the networks overlap, so an address would name two nodes",
                "set networks that share no address",
            )
    for network in networks:
        if not network.is_private:
            yield Problem(
                setting,
                str(network),
                "it is not a private network, so addresses outside become unreachable",
                "set one inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
            )
        if not aws.vpc_id and not network.subnet_of(aws.vpc_cidr):
            yield Problem(
                setting, str(network), f"it lies outside the VPC's {aws.vpc_cidr}", "set vpcCidr"
            )


def _sizes(config: ClusterConfig) -> Iterator[Problem]:
    aws = config.aws
    named = [("subnetCidrs", each) for each in aws.subnet_cidrs]
    if not aws.vpc_id:
        named.append(("vpcCidr", aws.vpc_cidr))
    for setting, network in named:
        if network.prefixlen < LARGEST_PREFIX:
            yield Problem(
                setting,
                str(network),
                f"EC2 takes networks of a /{LARGEST_PREFIX} at most",
                f"set a /{LARGEST_PREFIX} or smaller",
            )


def _addresses(config: ClusterConfig) -> Iterator[Problem]:
    for network, host in zip(subnets_of(config.aws), hosts_of(config.aws), strict=True):
        if network.prefixlen > SMALLEST_PREFIX or host >= network.broadcast_address:
            yield Problem(
                "nodeHost",
                str(config.aws.node_host),
                f"{network} has no such host, or is smaller than the /28 that EC2 takes",
                f"set it below {network.num_addresses - 1}, or larger networks",
            )


def _existing_network(config: ClusterConfig) -> Iterator[Problem]:
    aws, zones = config.aws, len(zones_of(config.aws))
    if not aws.vpc_id:
        if aws.subnet_ids:
            yield Problem(
                "vpcId",
                "(not set)",
                "subnets of a VPC are named, but not the VPC",
                "set vpcId, or remove subnetIds",
            )
        return
    if len(aws.subnet_ids) != zones or len(aws.subnet_cidrs) != zones:
        yield Problem(
            "subnetIds",
            f"{len(aws.subnet_ids)} ids and {len(aws.subnet_cidrs)} networks",
            "the nodes' addresses are fixed, so each zone's subnet and its network must be known",
            f"name {zones} in subnetIds and, in the same order, in subnetCidrs",
        )
    if aws.endpoints:
        yield Problem(
            "endpoints",
            "true",
            "they would take these services from everything else in the VPC: their names and the "
            "route to S3 would lead to endpoints that let only this cluster through",
            "remove it: pulumi config rm endpoints; nodes take the VPC's own endpoints or its NAT",
        )


def _machine(config: ClusterConfig) -> Iterator[Problem]:
    name = config.aws.instance_type
    machine = MACHINES.get(name)
    if machine is None:
        known = ", ".join(m.name for m in MACHINES.values() if not m.below_minimum)
        yield Problem("instanceType", name, "its size is not known here", f"set one of {known}")
    elif machine.below_minimum:
        yield Problem(
            "instanceType",
            name,
            f"{machine.vcpus} vCPUs and {machine.memory_gb} GiB are less than the guide's minimum "
            f"of {MINIMUM_VCPUS} and {MINIMUM_MEMORY_GB}",
            "set c6in.xlarge, better c6in.2xlarge",
        )


def _machine_memory(config: ClusterConfig) -> Iterator[Problem]:
    machine, limits = MACHINES.get(config.aws.instance_type), config.limits
    if machine is None:
        return
    used = limits.node_memory_mb + limits.sentinel_memory_mb + limits.worker_memory_mb
    has = machine.memory_gb * 1024 - SYSTEM_MB
    if used > has:
        yield Problem(
            "nodeMemoryMb",
            str(limits.node_memory_mb),
            f"with the sentinel and the worker on the same {machine.name} that is {used} MiB, but "
            f"it has {has} beside the system",
            f"set it to {has - used + limits.node_memory_mb} or less, or a larger instanceType",
        )
    if config.redis.io_threads > machine.vcpus:
        yield Problem(
            "ioThreads",
            str(config.redis.io_threads),
            f"{machine.name} has {machine.vcpus} CPUs, and threads that spin without one stall "
            "the main thread",
            f"set it to {machine.vcpus} or less",
        )


def _drill_memory(config: ClusterConfig) -> Iterator[Problem]:
    limits, backup, data = config.limits, config.backup, config.redis.maxmemory
    needed = -(-data.bytes * DRILL_PERCENT // (100 * MiB)) + WORKER_MB
    if backup.backup_enabled and backup.backup_drill and limits.worker_memory_mb < needed:
        yield Problem(
            "workerMemoryMb",
            str(limits.worker_memory_mb),
            f"a drill loads all the data ({data}) into a server beside the worker, with both that "
            f"is {needed} MiB, and a snapshot that can't be loaded is never proven",
            f"set it to {needed} or more, lower maxmemory, or set backupDrill to false",
        )


def _volume(config: ClusterConfig) -> Iterator[Problem]:
    aws = config.aws
    if aws.volume_throughput * IOPS_PER_MIB > aws.volume_iops:
        yield Problem(
            "volumeThroughput",
            str(aws.volume_throughput),
            f"a gp3 volume of {aws.volume_iops} IOPS gives {aws.volume_iops // IOPS_PER_MIB} MiB/s "
            "at most",
            f"set volumeIops to {aws.volume_throughput * IOPS_PER_MIB} or more",
        )
    if aws.volume_iops > aws.volume_gb * IOPS_PER_GB:
        yield Problem(
            "volumeIops",
            str(aws.volume_iops),
            f"a gp3 volume of {aws.volume_gb} GiB gives {aws.volume_gb * IOPS_PER_GB} at most",
            f"set volumeGb to {-(-aws.volume_iops // IOPS_PER_GB)} or more",
        )
    held = COPIES_ON_DISK * config.redis.maxmemory.bytes + config.backup.backup_spool.bytes
    if aws.volume_gb * GiB < held:
        yield Problem(
            "volumeGb",
            str(aws.volume_gb),
            f"the files of {config.redis.maxmemory} of data and the worker's spool can need "
            f"{held // MiB} MiB",
            f"set it to {-(-held // GiB)} or more",
        )


def _own_store(config: ClusterConfig) -> Iterator[Problem]:
    backup, usual = config.backup, type(config.backup)()
    for name, value, default in (
        ("backupStore", backup.backup_store, usual.backup_store),
        ("backupS3Endpoint", backup.backup_s3_endpoint, usual.backup_s3_endpoint),
        ("backupS3AccessKeyId", backup.backup_s3_access_key_id, usual.backup_s3_access_key_id),
    ):
        if value != default:
            yield Problem(
                name,
                value,
                "on AWS the stack makes a bucket of its own, and the nodes' roles are the key to "
                "it and to nothing else",
                f"remove it: pulumi config rm {name}",
            )


def _arns(config: ClusterConfig) -> Iterator[Problem]:
    aws = config.aws
    for name, arn in (("kmsKey", aws.kms_key), ("alarmTarget", aws.alarm_target)):
        if arn and arn.split(":")[3] != aws.region:
            yield Problem(
                name, arn, f"it is not in {aws.region}, where the cluster is", "name one there"
            )


ZONE_RULES: tuple[ZoneRule, ...] = (
    _region,
    _zones,
    _subnets,
    _sizes,
    _addresses,
    _existing_network,
    _machine,
    _machine_memory,
    _drill_memory,
    _volume,
    _own_store,
    _arns,
)
