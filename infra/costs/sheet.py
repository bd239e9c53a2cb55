"""What a month of the prod stack costs, computed from its plan and one dated file of prices.

An order of magnitude: what is made is counted, what depends on use is assumed and said. Prices are
list prices of one region (prices.json beside this); a month has 730 hours.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.config import Aws, ClusterConfig
from infra.machines import MACHINES
from infra.zones import zones_of

HOURS, DAYS, SECONDS = 730, 30.4, 730 * 3600
MB, GB = 10**6, 10**9
# gp3's price includes these.
FREE_IOPS, FREE_MIB_PER_SECOND = 3_000, 125
# What the target makes (infra/targets/aws): EC2's detailed monitoring is 7 metrics a machine.
METRICS_PER_MACHINE, METRICS_OF_CLUSTER = 7 + 3, 2
ALARMS_PER_MACHINE, ALARMS_OF_CLUSTER, ENDPOINTS, KEYS = 7, 2, 5, 2
# Each time the log is sealed: a segment's two objects, the mark that each gets when it is past its
# retention, and a renewal of the lease.
PUTS_PER_SEAL = 5
# How often (s) the worker lists its snapshots (backup_worker.rounds).
LOOK_SECONDS = 60
PRICES = Path(__file__).parent / "prices.json"


@dataclass(frozen=True)
class Prices:
    """List prices in dollars: when and where they held, by machine, and of everything else."""

    as_of: str
    region: str
    machine_hour: Mapping[str, float]
    of: Mapping[str, float]


@dataclass(frozen=True)
class Use:
    """What a plan can't know: data in GB, writes in MB/s, and how far both compress."""

    data_gb: float
    writes_mb_s: float = 0.1
    compression: float = 2.0
    log_gb_per_machine: float = 1.0


@dataclass(frozen=True)
class Line:
    """One kind of thing: how many of it, and dollars a month for all; `why` is what drives it."""

    what: str
    quantity: str
    dollars: float
    why: str


@dataclass(frozen=True)
class CostSheet:
    """All lines, the costliest first, and the prices that they stand on."""

    lines: tuple[Line, ...]
    prices: Prices = field(repr=False)

    @property
    def total(self) -> float:
        return sum(line.dollars for line in self.lines)


def read_prices(path: Path = PRICES) -> Prices:
    """Read the file of prices."""
    document: dict[str, Any] = json.loads(path.read_text())
    of = {name: value for name, value in document.items() if isinstance(value, float)}
    return Prices(document["as_of"], document["region"], document["machine_hour"], of)


def usual_use(config: ClusterConfig) -> Use:
    """Assume that the data fills what it may."""
    return Use(data_gb=config.redis.maxmemory.bytes / GB)


def cost_sheet(config: ClusterConfig, prices: Prices, use: Use) -> CostSheet:
    """Count what the plan makes and what its use brings with it."""
    lines = [
        _machines(config.aws, prices),
        _volumes(config.aws, prices),
        *([_endpoints(config.aws, prices)] if config.aws.endpoints else []),
        _watching(config.aws, prices, use),
        _secrets(config.aws, prices),
        _store(config, prices, use),
        _between_zones(config, prices, use),
    ]
    return CostSheet(tuple(sorted(lines, key=lambda line: -line.dollars)), prices)


def render(sheet: CostSheet, config: ClusterConfig) -> str:
    """Write the sheet as a Markdown table."""
    prices = sheet.prices
    rows = [
        f"| {line.what} | {line.quantity} | {line.dollars:,.0f} | {line.why} |"
        for line in sheet.lines
    ]
    where = "" if config.aws.region == prices.region else f" ({config.aws.region} differs)"
    return "\n".join(
        [
            "| what | how much | $/month | what drives it |",
            "|---|---|---:|---|",
            *rows,
            f"| **total** | | **{sheet.total:,.0f}** | |",
            "",
            f"List prices of {prices.region}{where}, as of {prices.as_of}.",
            "",
        ]
    )


def _machines(aws: Aws, prices: Prices) -> Line:
    count, machine = len(zones_of(aws)), MACHINES[aws.instance_type]
    hourly = prices.machine_hour[machine.name]
    return Line(
        "machines",
        f"{count} x {machine.name}",
        count * hourly * HOURS,
        "instanceType; a savings plan takes a quarter to a half off",
    )


def _volumes(aws: Aws, prices: Prices) -> Line:
    count = len(zones_of(aws))
    speed = (
        max(0, aws.volume_iops - FREE_IOPS) * prices.of["volume_iops_month"]
        + max(0, aws.volume_throughput - FREE_MIB_PER_SECOND)
        * prices.of["volume_mib_per_second_month"]
    )
    size = (aws.volume_gb + aws.root_volume_gb) * prices.of["volume_gb_month"]
    return Line(
        "disks",
        f"{count} x ({aws.volume_gb} + {aws.root_volume_gb}) GiB, {aws.volume_iops} IOPS, "
        f"{aws.volume_throughput} MiB/s",
        count * (size + speed),
        "volumeGb, volumeIops, volumeThroughput",
    )


def _endpoints(aws: Aws, prices: Prices) -> Line:
    zones = len(zones_of(aws))
    return Line(
        "interface endpoints",
        f"{ENDPOINTS} services x {zones} zones",
        ENDPOINTS * zones * prices.of["endpoint_hour"] * HOURS,
        "endpoints=false where the VPC has them; the S3 endpoint is free",
    )


def _watching(aws: Aws, prices: Prices, use: Use) -> Line:
    count = len(zones_of(aws))
    metrics = count * METRICS_PER_MACHINE + METRICS_OF_CLUSTER
    alarms = count * ALARMS_PER_MACHINE + ALARMS_OF_CLUSTER
    return Line(
        "metrics, alarms, logs",
        f"{metrics} metrics, {alarms} alarms, {use.log_gb_per_machine:g} GB of log a machine",
        metrics * prices.of["metric_month"]
        + alarms * prices.of["alarm_month"]
        + count * use.log_gb_per_machine * prices.of["log_gb"],
        "what the nodes log",
    )


def _secrets(aws: Aws, prices: Prices) -> Line:
    keys = 0 if aws.kms_key else KEYS
    secrets = len(zones_of(aws)) + 1
    return Line(
        "keys and secrets",
        f"{keys} keys, {secrets} secrets",
        keys * prices.of["key_month"] + secrets * prices.of["secret_month"],
        "kmsKey takes the keys' part off",
    )


def _store(config: ClusterConfig, prices: Prices, use: Use) -> Line:
    backup = config.backup
    days = backup.backup_retention_hours / 24
    snapshots = backup.backup_retention_hours * 3600 / backup.backup_interval
    logged = use.writes_mb_s * MB * days * 86_400 / GB if backup.backup_log else 0.0
    held = (use.data_gb * snapshots + logged) / use.compression
    # A LIST costs what a PUT does.
    puts = PUTS_PER_SEAL * SECONDS / backup.backup_log_seconds + SECONDS / LOOK_SECONDS
    dollars = held * prices.of["store_gb_month"] + puts / 1000 * prices.of["store_1000_puts"]
    return Line(
        "backups in S3",
        f"{held:,.0f} GB ({snapshots:,.0f} snapshots of {use.data_gb:.1f} GB, "
        f"{use.writes_mb_s:g} MB/s of log, compressed {use.compression:g} : 1)",
        dollars,
        "the data's size, backupInterval, backupRetentionHours",
    )


def _between_zones(config: ClusterConfig, prices: Prices, use: Use) -> Line:
    """Two replicas and the worker follow, and each snapshot may come from another zone."""
    followers = config.layout.replicas + 1
    streams = followers * use.writes_mb_s * MB * SECONDS / GB
    snapshots = use.data_gb * SECONDS / config.backup.backup_interval
    return Line(
        "traffic between zones",
        f"{streams + snapshots:,.0f} GB at most, clients' own aside",
        (streams + snapshots) * prices.of["between_zones_gb"],
        "backupInterval times the data's size, if the worker follows a replica of another zone",
    )
