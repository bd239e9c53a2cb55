"""The planner: refuses settings that would make an unsafe cluster, and says what a fault costs.

A rule is a pure function of the configuration that yields a Problem (setting, value, reason,
remedy) for each thing it refuses. Numbers in reasons were measured; see infra.prediction.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from infra.config import ClusterConfig, MiB
from infra.errors import PlanRefused, Problem
from infra.prediction import Prediction, predict
from infra.topology import LAST_HOST, Topology, arrange, lay_out
from infra.zone_rules import ZONE_RULES
from infra.zones import zones_of

SAFE_DOWN_AFTER_MS = 2_000
# What redis-server, the node's agent and client buffers need beside the data (MiB).
PROCESS_OVERHEAD_MB = 64
# src/replication.c: CONFIG_REPL_BACKLOG_MIN_SIZE (bytes); src/server.h: CONFIG_MIN_RESERVED_FDS.
LEAST_BACKLOG, RESERVED_FILES = 16 * 1024, 32
HIGHEST_PORT = 65_535
# The least that a server needs to write what it holds and exit.
SHUTDOWN_SECONDS = 5
# What Prometheus writes before it makes its first block of two hours (MiB).
LEAST_RETENTION_MB = 128
# The error budget is of 30 days (monitoring/prometheus/rules/slo.yml), and a day more is cut.
PROMISE_DAYS = 31

Rule = Callable[[ClusterConfig], Iterator[Problem]]


@dataclass(frozen=True)
class Plan:
    """A configuration that passed every rule, the nodes it makes, and what faults will cost."""

    config: ClusterConfig
    topology: Topology
    predictions: tuple[Prediction, ...]

    def summary(self) -> str:
        """Say in a few lines what will be made, for the preview."""
        config = self.config
        head = (
            f"{config.engine}: {len(self.topology.data_nodes)} data nodes and "
            f"{len(self.topology.sentinels)} sentinels {self._where()}, "
            f"quorum {config.sentinel.quorum}, down-after {config.sentinel.down_after_ms} ms"
        )
        return "\n".join([head, *(f"  {p}" for p in (*self.predictions, *remarks(config)))])

    def _where(self) -> str:
        aws = self.config.aws
        if self.config.target == "aws":
            return f"on {aws.instance_type} in {', '.join(zones_of(aws))}"
        return f"on {self.topology.subnet}"

    def output(self) -> dict[str, Any]:
        """Give the plan as plain values, for the stack's output of that name."""
        return {
            "engine": self.config.engine,
            "namePrefix": self.config.layout.name_prefix,
            "quorum": self.config.sentinel.quorum,
            "downAfterMs": self.config.sentinel.down_after_ms,
            "faults": [
                {"fault": p.fault, "outage": p.outage_text, "loss": p.loss, "basis": p.basis}
                for p in self.predictions
            ],
        }


def make_plan(config: ClusterConfig) -> Plan:
    """Check the configuration against every rule.

    Errors: PlanRefused with all refusals at once.
    """
    problems = refusals(config)
    if problems:
        raise PlanRefused(problems)
    return Plan(config, arrange(config), predict(config))


def refusals(config: ClusterConfig) -> list[Problem]:
    """List what is unsafe, in the order of the rules."""
    rules = (*RULES, *ZONE_RULES) if config.target == "aws" else (*RULES, *HOST_RULES)
    return [problem for rule in rules for problem in rule(config)]


def remarks(config: ClusterConfig) -> list[str]:
    """Say what works, but says less than it seems to."""
    days = config.monitoring.prometheus_retention_days
    if config.target == "aws" or not config.monitoring.monitoring or days >= PROMISE_DAYS:
        return []
    reason = f"the error budget of 30 days is computed from {days}"
    return [f"prometheusRetentionDays = {days}: {reason}; set it to {PROMISE_DAYS} or more"]


def _down_after(config: ClusterConfig) -> Iterator[Problem]:
    value = config.sentinel.down_after_ms
    if value < SAFE_DOWN_AFTER_MS:
        yield Problem(
            "downAfterMs",
            str(value),
            "below 2000 ms a sentinel that is still reconnecting takes the new master for down: "
            "a second failover followed 4 of 12 crashes and lost acknowledged writes",
            "set it to 2000 or more",
        )


def _fencing(config: ClusterConfig) -> Iterator[Problem]:
    lag, down_after = config.redis.min_replicas_max_lag, config.sentinel.down_after_ms
    if config.redis.min_replicas_to_write and lag * 1000 >= down_after:
        highest = (down_after - 1) // 1000
        lower = f"set it to {highest} or less, or " if highest else ""
        yield Problem(
            "minReplicasMaxLag",
            str(lag),
            f"an isolated master still accepts writes when the others have replaced it after "
            f"{down_after} ms, so two masters take writes at once",
            f"{lower}raise downAfterMs above {lag * 1000}",
        )


def _sentinel_count(config: ClusterConfig) -> Iterator[Problem]:
    count = config.layout.sentinels
    if count < 3:
        yield Problem(
            "sentinels",
            str(count),
            "the loss of one leaves no majority, so nothing fails over",
            "set it to 3 or another odd number above",
        )
    elif count % 2 == 0:
        yield Problem(
            "sentinels",
            str(count),
            f"an even number survives no more losses than {count - 1} and can split in halves",
            f"set it to {count - 1} or {count + 1}",
        )


def _quorum(config: ClusterConfig) -> Iterator[Problem]:
    quorum, count = config.sentinel.quorum, config.layout.sentinels
    majority = count // 2 + 1
    if quorum > count:
        yield Problem(
            "quorum",
            str(quorum),
            f"there are only {count} sentinels, so the master is never agreed to be down",
            f"set it to {majority}",
        )
    elif quorum < majority:
        yield Problem(
            "quorum",
            str(quorum),
            f"a minority of {count} sentinels may call a healthy master down",
            f"set it to {majority}, the majority",
        )


def _replicas(config: ClusterConfig) -> Iterator[Problem]:
    replicas, needed = config.layout.replicas, config.redis.min_replicas_to_write
    if replicas < 1:
        yield Problem(
            "replicas", str(replicas), "nobody can take over from the master", "set it to 2"
        )
    elif needed > replicas:
        yield Problem(
            "minReplicasToWrite",
            str(needed),
            f"there are only {replicas} replicas, so the master refuses every write",
            f"set it to {max(1, replicas - 1)}",
        )


def _subnet(config: ClusterConfig) -> Iterator[Problem]:
    subnet = config.layout.subnet
    if subnet.num_addresses < LAST_HOST + 2:
        yield Problem(
            "subnet",
            str(subnet),
            f"it holds {subnet.num_addresses} addresses, but the nodes use its first "
            f"{LAST_HOST + 1}",
            "set a /26 or larger",
        )
    if not subnet.is_private:
        yield Problem(
            "subnet",
            str(subnet),
            "it is not a private network, so addresses outside become unreachable",
            "set one inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
        )


def _ports(config: ClusterConfig) -> Iterator[Problem]:
    topology = lay_out(config.layout)
    highest = max(node.port for node in topology.sentinels)
    if highest > HIGHEST_PORT:
        offset = config.layout.port_offset
        yield Problem(
            "portOffset",
            str(offset),
            f"the last sentinel's port would be {highest}",
            f"set it to {offset - (highest - HIGHEST_PORT)} or less",
        )


def _memory(config: ClusterConfig) -> Iterator[Problem]:
    redis, limit = config.redis, config.limits.node_memory_mb
    if not redis.maxmemory.bytes:
        yield Problem(
            "maxmemory", "0", "the data grows until the kernel kills the node", "set a size"
        )
        return
    # While a child writes the RDB or the AOF, each page that changes exists twice.
    needed = 2 * redis.maxmemory.bytes + redis.repl_backlog_size.bytes
    needed_mb = -(-needed // MiB) + PROCESS_OVERHEAD_MB
    if limit < needed_mb:
        yield Problem(
            "nodeMemoryMb",
            str(limit),
            f"maxmemory {redis.maxmemory} doubles while a snapshot is written, with the backlog "
            f"({redis.repl_backlog_size}) and the processes that is {needed_mb} MiB",
            f"set it to {needed_mb} or more, or lower maxmemory",
        )


def _backlog(config: ClusterConfig) -> Iterator[Problem]:
    backlog = config.redis.repl_backlog_size
    if backlog.bytes < LEAST_BACKLOG:
        yield Problem(
            "replBacklogSize",
            str(backlog),
            "Redis refuses 0 and keeps no less than 16kb; a replica that was away for longer than "
            "the backlog reaches back takes all the data anew",
            "set it to 16kb or more",
        )


def _clients(config: ClusterConfig) -> Iterator[Problem]:
    clients, files = config.redis.maxclients, config.limits.max_open_files
    if clients + RESERVED_FILES > files:
        yield Problem(
            "maxclients",
            str(clients),
            f"each client takes a file, Redis keeps {RESERVED_FILES} for itself, and a node may "
            f"open {files}: one that runs refuses the change, one that starts takes fewer clients",
            f"set it to {files - RESERVED_FILES} or less, or maxOpenFiles to "
            f"{clients + RESERVED_FILES} or more",
        )


def _io_threads(config: ClusterConfig) -> Iterator[Problem]:
    cpus, threads = float(config.limits.cpus), config.redis.io_threads
    if cpus and threads > max(1.0, cpus):
        yield Problem(
            "ioThreads",
            str(threads),
            f"a node has {config.limits.cpus} CPUs, and threads that spin without one stall "
            "the main thread",
            f"set it to {max(1, int(cpus))} or less, or raise cpus",
        )


def _stop_grace(config: ClusterConfig) -> Iterator[Problem]:
    limits = config.limits
    lacking = SHUTDOWN_SECONDS - limits.server_stop_seconds
    if lacking > 0:
        yield Problem(
            "stopGraceSeconds",
            str(limits.stop_grace_seconds),
            f"a master may take {limits.handover_seconds} s to hand over and then some to close "
            "its files, and would be killed in the middle",
            f"set it to {limits.stop_grace_seconds + lacking} or more",
        )


def _retention(config: ClusterConfig) -> Iterator[Problem]:
    backup = config.backup
    if backup.backup_retention_hours * 3600 < backup.backup_interval:
        yield Problem(
            "backupRetentionHours",
            str(backup.backup_retention_hours),
            f"a snapshot would be dropped before the next is taken after "
            f"{backup.backup_interval} s",
            f"set it to {-(-backup.backup_interval // 3600)} or more",
        )


def _backup_store(config: ClusterConfig) -> Iterator[Problem]:
    backup = config.backup
    if backup.backup_store.startswith("file://"):
        path = backup.backup_store.removeprefix("file://").rstrip("/")
        if path != "/backup" and not path.startswith("/backup/"):
            yield Problem(
                "backupStore",
                backup.backup_store,
                "the worker's container keeps only /backup, the rest goes with it",
                "set file:///backup or an s3:// store",
            )
    if bool(backup.backup_s3_access_key_id) != bool(backup.backup_s3_secret_access_key):
        yield Problem(
            "backupS3AccessKeyId",
            backup.backup_s3_access_key_id or "(not set)",
            "the access key id and the secret key are only of use together",
            "set both, the second with pulumi config set --secret backupS3SecretAccessKey",
        )


def _monitoring(config: ClusterConfig) -> Iterator[Problem]:
    settings = config.monitoring
    if settings.alert_webhook and not settings.monitoring:
        yield Problem(
            "alertWebhook",
            "[secret]",
            "without monitoring nobody raises an alert",
            "set monitoring to true, or remove it: pulumi config rm alertWebhook",
        )
    if settings.prometheus_retention_size.bytes < LEAST_RETENTION_MB * MiB:
        yield Problem(
            "prometheusRetentionSize",
            str(settings.prometheus_retention_size),
            "Prometheus takes 0 for no bound, and below this the last hours alone are larger",
            f"set it to {LEAST_RETENTION_MB}mb or more",
        )


def _certificates(config: ClusterConfig) -> Iterator[Problem]:
    times = config.certificates
    if times.certificate_renewal_hours >= times.certificate_validity_hours:
        yield Problem(
            "certificateRenewalHours",
            str(times.certificate_renewal_hours),
            f"certificates live {times.certificate_validity_hours} h, so every up renews them "
            "and replaces every node",
            f"set it below {times.certificate_validity_hours}",
        )
    if times.certificate_validity_hours > times.ca_validity_hours:
        yield Problem(
            "certificateValidityHours",
            str(times.certificate_validity_hours),
            f"the CA expires before, after {times.ca_validity_hours} h",
            f"set it to {times.ca_validity_hours} or less",
        )


RULES: tuple[Rule, ...] = (
    _down_after,
    _fencing,
    _sentinel_count,
    _quorum,
    _replicas,
    _ports,
    _memory,
    _backlog,
    _clients,
    _io_threads,
    _stop_grace,
    _retention,
    _certificates,
)
# Of a cluster on one Docker host; what a cluster in zones may not be is in infra.zone_rules.
HOST_RULES: tuple[Rule, ...] = (_subnet, _backup_store, _monitoring)
