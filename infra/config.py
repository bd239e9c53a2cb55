"""ClusterConfig: everything about a stack that can be set, with the guide's values as defaults.

Each field is one setting of the stack's configuration, its name in camelCase:
`pulumi config set downAfterMs 2000`. What is unsafe in combination is the planner's to say.
"""

# ruff: noqa: RUF009 - setting() and group() declare fields, as dataclasses.field() does

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from infra.generations import Generation, generation
from infra.settings import (
    Size,
    choice,
    day,
    decimal,
    group,
    labels,
    one_of,
    parse,
    setting,
    size,
    subnet,
    subnets,
    text,
    truth,
    whole,
    words,
)

MiB = 1 << 20
DAY_MS = 86_400_000
# An hour and more is what a live restore sets to keep the sentinels still.
LONGEST_DOWN_AFTER_MS = 1_800_000
# Between the server's end and the container's: the agent notes what it saw and leaves.
STOP_MARGIN_SECONDS = 5

REGION = r"[a-z]{2}(-[a-z]+)+-\d"
# What CloudWatch Logs accepts as a retention.
LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827)

Engine = Literal["redis-8", "redis-7", "valkey-8"]
BASE_IMAGES: dict[str, str] = {
    "redis-8": "debian:trixie-slim",
    "redis-7": "debian:bookworm-slim",
    "valkey-8": "debian:trixie-slim",
}
ENGINES = "|".join(BASE_IMAGES)
SAVE_POINT = r"[1-9]\d{0,8} [1-9]\d{0,8}"
RECIPIENT = r"age1[02-9ac-hj-np-z]{58}"


@dataclass(frozen=True)
class Layout:
    """How many nodes, where they live and what they are called.

    `name_prefix`, `port_offset` and `subnet` set two stacks on one host apart.
    """

    name_prefix: str = setting("", text(r"[a-z0-9][a-z0-9-]{0,20}|", "lower-case letters, digits"))
    port_offset: int = setting(0, whole(0, 65_535))
    subnet: IPv4Network = setting(IPv4Network("172.28.0.0/24"), subnet())
    replicas: int = setting(2, whole(0, 8))
    sentinels: int = setting(3, whole(1, 9))


@dataclass(frozen=True)
class RedisTuning:
    """What redis.conf says beyond who and where; names are redis.conf's own.

    Sizes as redis.conf writes them; `timeout`, `tcp_keepalive`, `repl_*` and `*_lag` in seconds.
    """

    maxmemory: Size = setting(Size(256 * MiB), size())
    maxmemory_policy: str = setting(
        "allkeys-lru",
        choice(
            *("allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"),
            *("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"),
        ),
    )
    hash_max_listpack_entries: int = setting(512, whole(0, 1_000_000))
    hash_max_listpack_value: int = setting(64, whole(0, 1_000_000))
    tcp_keepalive: int = setting(60, whole(0, 86_400))
    timeout: int = setting(300, whole(0, 86_400))
    maxclients: int = setting(10_000, whole(64, 1_000_000))
    io_threads: int = setting(4, whole(1, 64))
    io_threads_do_reads: bool = setting(True, truth())
    appendfsync: str = setting("everysec", choice("always", "everysec", "no"))
    save: str = setting(
        "3600 1 300 100 60 10000",
        text(
            rf"({SAVE_POINT})( {SAVE_POINT})*|",
            "pairs of seconds and changes such as 3600 1 300 100, both from 1 to 999999999",
        ),
    )
    repl_backlog_size: Size = setting(Size(64 * MiB), size())
    # Redis waits 5 s for more replicas to join a transfer; here they come one at a time.
    repl_diskless_sync_delay: int = setting(1, whole(0, 60))
    min_replicas_to_write: int = setting(1, whole(0, 8))
    min_replicas_max_lag: int = setting(3, whole(1, 3600))
    replica_output_buffer_limit: str = setting(
        "256mb 64mb 60", text(r"\d+[kmg]b \d+[kmg]b \d+", "hard limit, soft limit, seconds")
    )
    debug_command: str = setting("no", choice("no", "local"))


@dataclass(frozen=True)
class SentinelTuning:
    """When the sentinels call a master down, and how they replace it; `*_ms` in milliseconds."""

    master_name: str = setting("mymaster", text(r"[A-Za-z0-9._-]{1,64}", "a name without spaces"))
    quorum: int = setting(2, whole(1, 9))
    down_after_ms: int = setting(5_000, whole(1, LONGEST_DOWN_AFTER_MS))
    failover_timeout_ms: int = setting(60_000, whole(1_000, DAY_MS))
    parallel_syncs: int = setting(1, whole(1, 8))
    # A process beside each sentinel that sees a crash at once; without it down-after decides.
    witness: bool = setting(True, truth())


@dataclass(frozen=True)
class Limits:
    """What one node may use, and how long it may take; `*_mb` in MiB, `*_seconds` in seconds.

    `max_processes` bounds the processes of the nodes' user: the user id is the same in every
    container, so the kernel counts them together (the provider has no limit per container).
    """

    node_memory_mb: int = setting(768, whole(32, 1 << 20))
    sentinel_memory_mb: int = setting(128, whole(32, 1 << 20))
    worker_memory_mb: int = setting(1_024, whole(64, 1 << 20))
    cpus: str = setting("0", decimal())
    max_processes: int = setting(2_048, whole(64, 1 << 20))
    max_open_files: int = setting(10_240, whole(1_024, 1 << 20))
    handover_seconds: int = setting(10, whole(1, 300))
    stop_grace_seconds: int = setting(30, whole(1, 600))
    start_wait_seconds: int = setting(180, whole(10, 3_600))
    worker_start_wait_seconds: int = setting(60, whole(10, 3_600))

    @property
    def server_stop_seconds(self) -> int:
        """What the grace leaves for the server itself, after the handover and a margin."""
        return self.stop_grace_seconds - self.handover_seconds - STOP_MARGIN_SECONDS


@dataclass(frozen=True)
class Backup:
    """What the worker does: interval in seconds, retention in hours, store as a URL.

    Without recipients the stack makes an identity of its own and keeps it as a secret. The log
    is sealed each `backup_log_seconds` or `backup_log_bytes`; `backup_spool` waits for the store.
    """

    backup_enabled: bool = setting(True, truth())
    backup_interval: int = setting(3_600, whole(10, 604_800))
    backup_retention_hours: int = setting(168, whole(1, 87_600))
    backup_store: str = setting(
        "file:///backup",
        text(
            r"file:///[A-Za-z0-9._/-]+|s3://[a-z0-9.-]{3,63}(/[A-Za-z0-9._/-]*)?",
            "file:///path or s3://bucket/prefix",
        ),
    )
    backup_log: bool = setting(True, truth())
    backup_log_seconds: int = setting(10, whole(1, 3_600))
    backup_log_bytes: Size = setting(Size(8 * MiB), size())
    backup_spool: Size = setting(Size(4_096 * MiB), size())
    backup_drill: bool = setting(True, truth())
    backup_s3_endpoint: str = setting("", text(r"https?://[^\s/]+/?|", "http(s)://host:port"))
    backup_s3_region: str = setting("us-east-1", text(r"[a-z0-9-]{1,32}", "an AWS region"))
    backup_s3_access_key_id: str = setting("", text(r"\S*", "an access key id"))
    backup_s3_secret_access_key: str = setting("", text(r"\S*", "a secret key"), secret=True)
    backup_recipients: tuple[str, ...] = setting((), words(RECIPIENT, "age recipients (age1...)"))


@dataclass(frozen=True)
class Monitoring:
    """Prometheus, Alertmanager and two exporters; only the target `docker` reads these.

    Alerts go to `alert_webhook`, a URL that often holds a token; without one they are only shown.
    What Prometheus keeps is bounded by age and by size, whichever comes first; the promise of
    availability looks back 30 days, which some 3,300 series fill with about 1 GiB.
    """

    monitoring: bool = setting(True, truth())
    alert_webhook: str = setting(
        "", text(r"https?://[^\s/]+(/\S*)?|", "a URL, http(s)://host/path"), secret=True
    )
    prometheus_retention_days: int = setting(31, whole(1, 3_650))
    prometheus_retention_size: Size = setting(Size(2_048 * MiB), size())
    prometheus_memory_mb: int = setting(512, whole(128, 1 << 20))
    alertmanager_memory_mb: int = setting(128, whole(64, 1 << 20))
    exporter_memory_mb: int = setting(128, whole(64, 1 << 20))


@dataclass(frozen=True)
class Certificates:
    """How long certificates last and how early before that an `up` renews them, in hours."""

    ca_validity_hours: int = setting(87_600, whole(24, 876_000))
    certificate_validity_hours: int = setting(8_760, whole(1, 87_600))
    certificate_renewal_hours: int = setting(720, whole(0, 87_600))


@dataclass(frozen=True)
class Generations:
    """Which passwords, keys and certificates are in use; `redis-ha rotate` counts them up."""

    password_generation: Generation = setting(Generation(), generation())
    authority_generation: Generation = setting(Generation(), generation())
    certificate_generation: int = setting(1, whole(1, 999_999))
    backup_key_generation: Generation = setting(Generation(), generation())

    def described(self) -> dict[str, str]:
        """Give them by what is rotated, for the stack's output of that name."""
        return {
            "users": str(self.password_generation),
            "ca": str(self.authority_generation),
            "certs": str(self.certificate_generation),
            "backup-key": str(self.backup_key_generation),
        }


@dataclass(frozen=True)
class Aws:
    """Where on AWS and on what; only the target `aws` reads these.

    One zone per node, by default a, b and c of the region. With a `vpc_id` nothing of the network
    is made, endpoints neither: `subnet_ids` name one subnet per zone, `subnet_cidrs` their networks
    in the same order (addresses are fixed, so they must be known). Sizes in GiB,
    `volume_throughput` in MiB/s, `*_days` in days.
    """

    region: str = setting("us-east-1", text(REGION, "an AWS region such as eu-central-1"))
    zones: tuple[str, ...] = setting((), words(rf"{REGION}[a-z]", "availability zones"))
    instance_type: str = setting("c6in.2xlarge", text(r"[a-z0-9-]+\.[a-z0-9-]+", "an EC2 type"))
    # A change of it rolls through the nodes. Without one a node boots from the newest of the day
    # that it is made or replaced, and a newer one alone replaces none.
    ami: str = setting("", text(r"ami-[0-9a-f]+|", "ami-..."))
    root_volume_gb: int = setting(16, whole(8, 1_024))
    volume_gb: int = setting(500, whole(10, 16_384))
    volume_iops: int = setting(6_000, whole(3_000, 16_000))
    volume_throughput: int = setting(500, whole(125, 1_000))
    vpc_cidr: IPv4Network = setting(IPv4Network("10.72.0.0/16"), subnet())
    subnet_cidrs: tuple[IPv4Network, ...] = setting((), subnets())
    vpc_id: str = setting("", text(r"vpc-[0-9a-f]+|", "vpc-..."))
    subnet_ids: tuple[str, ...] = setting((), words(r"subnet-[0-9a-f]+", "subnet-..."))
    # Not set: where the VPC is the stack's. False where something else is a way to the services.
    endpoints: bool = setting(None, truth())
    # The nodes' address in their subnets: the host number, which must be free in each.
    node_host: int = setting(11, whole(4, 65_000))
    allowed_client_security_groups: tuple[str, ...] = setting((), words(r"sg-[0-9a-f]+", "sg-..."))
    allowed_monitoring_security_groups: tuple[str, ...] = setting(
        (), words(r"sg-[0-9a-f]+", "sg-...")
    )
    kms_key: str = setting(
        "", text(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/\S+|", "a key's ARN")
    )
    alarm_target: str = setting(
        "", text(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:\S+|", "an SNS topic's ARN")
    )
    permissions_boundary: str = setting(
        "", text(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/\S+|", "an IAM policy's ARN")
    )
    package_source: str = setting("", text(r"[A-Za-z0-9._/-]*", "a folder of the checkout"))
    backup_object_lock_days: int = setting(0, whole(0, 3_650))
    log_retention_days: int = setting(30, one_of(*LOG_RETENTION_DAYS))
    recovery_window_days: int = setting(30, whole(7, 30))
    tags: tuple[tuple[str, str], ...] = setting((), labels())

    def __post_init__(self) -> None:
        if self.endpoints is None:
            object.__setattr__(self, "endpoints", not self.vpc_id)


@dataclass(frozen=True)
class ClusterConfig:
    """One stack, read once; nothing behind it asks the configuration again."""

    target: Literal["docker", "aws"] = setting("docker", choice("docker", "aws"))
    engine: Engine = setting("redis-8", choice("redis-8", "redis-7", "valkey-8"))
    base_image: str = setting("", text(r"[a-z0-9][A-Za-z0-9._/:@-]*|", "an image's name"))
    # Another date builds the image anew, with Debian's packages as they are that day.
    image_date: str = setting("", day())
    # What infra.changes refuses goes through where these name it: both engines, the old recipients.
    allow_engine_change: str = setting(
        "", text(rf"({ENGINES})>({ENGINES})|", "two engines, from and to, such as redis-8>redis-7")
    )
    allow_backup_key_loss: str = setting(
        "", text(rf"{RECIPIENT}(,{RECIPIENT})*|", "age recipients (age1...), commas between")
    )
    layout: Layout = group(Layout)
    redis: RedisTuning = group(RedisTuning)
    sentinel: SentinelTuning = group(SentinelTuning)
    limits: Limits = group(Limits)
    backup: Backup = group(Backup)
    monitoring: Monitoring = group(Monitoring)
    certificates: Certificates = group(Certificates)
    generations: Generations = group(Generations)
    aws: Aws = group(Aws)

    @property
    def base(self) -> str:
        """The image that ours is built on."""
        return self.base_image or BASE_IMAGES[self.engine]


def read_stack_config() -> ClusterConfig:
    """Read the running stack's settings, those of the project's own namespace.

    Errors: ConfigRefused. Pulumi has no call that lists a namespace, so its runtime's map is read.
    """
    prefix = f"{pulumi.get_project()}:"
    given = {**get_config_env(), **CONFIG.get()}
    own = {key.removeprefix(prefix): v for key, v in given.items() if key.startswith(prefix)}
    return parse(ClusterConfig, own)
