"""The containers of a cluster on one Docker host: what each runs, may use and is confined by. Pure.

One description for all who make them: the Docker target hands it to Pulumi, `redis-ha compose`
writes it for docker-compose. What a container's files hold is not said here, nor any secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from infra.config import Limits
from infra.monitoring import alertmanager_options, prometheus_options, redis_exporter_options
from infra.planner import Plan
from infra.rendering import Paths
from infra.topology import Node

PATHS = Paths()
STORE_PATH = "/backup"
USER = "10001:10001"
# Files belong to root; the node's user reads them through its group.
FILE_GROUP = "0"
FILE_MODE = "0440"
RUN_TMPFS = "rw,noexec,nosuid,nodev,size=1m,mode=0700,uid=10001,gid=10001"
SECURITY_OPTIONS = ("no-new-privileges:true",)
DROPPED_CAPABILITIES = ("ALL",)
RESTART = "unless-stopped"
PUBLISHED_AT = "127.0.0.1"
SYSCTLS = {"net.core.somaxconn": "1024"}
LOG_DRIVER = "json-file"
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}
HEALTH_TIMEOUT, HEALTH_RETRIES = 5, 3
# Who is waited for is asked often, so that nobody waits in vain.
HEALTH_INTERVAL, HEALTH_INTERVAL_UNAWAITED = 2, 10
# On one core the stock exporter takes 36 ms of it for a round of scrapes, 50 ms on two.
ONE_CORE = ("GOMAXPROCS=1",)
# Asks a page of a program that speaks HTTP; see node/answers.sh.
ANSWERS = "redis-ha-answers"

# Of a volume: what its name ends in.
Purpose = Literal["data", "state", "store"]
# What is worth more than the cluster that made it.
KEPT: frozenset[Purpose] = frozenset({"store"})


@dataclass(frozen=True)
class Container:
    """One container: its node, its program, its memory (MiB), its volumes by path.

    `environment` holds no secrets, for everybody who may inspect the container sees them. `health`
    is the check's command. A container that is `certified` has a certificate of its own. One that
    is `sealed` has a root file system that nobody can write to. One that is not `awaited` holds
    nobody up while it is still starting. `stage` is the Dockerfile's.
    """

    node: Node
    program: str
    arguments: tuple[str, ...]
    limits: Limits
    memory_mb: int
    start_wait_seconds: int
    volumes: Mapping[str, Purpose] = field(default_factory=dict)
    health: tuple[str, ...] = ("redis-ha-health",)
    environment: tuple[str, ...] = ()
    stage: Literal["node", "monitoring"] = "node"
    certified: bool = True
    published: bool = True
    sealed: bool = False
    awaited: bool = True

    @property
    def memory_swap_mb(self) -> int:
        return 2 * self.memory_mb

    @property
    def health_interval(self) -> int:
        return HEALTH_INTERVAL if self.awaited else HEALTH_INTERVAL_UNAWAITED

    @property
    def ulimits(self) -> dict[str, int]:
        """Bound open files, and processes: the official provider knows no pids limit."""
        return {"nofile": self.limits.max_open_files, "nproc": self.limits.max_processes}

    @property
    def labels(self) -> dict[str, str]:
        return {"redis-ha.node": self.node.name, "redis-ha.role": self.node.role}


def volume_name(node: Node, purpose: str) -> str:
    """Name a volume of a node on the host."""
    return f"{node.container}-{purpose}"


def members(plan: Plan) -> tuple[Container, ...]:
    """Give sentinels, data nodes and the worker in the order in which they must come up.

    The sentinels come first: they are the cluster's memory, which a data node asks when it boots.
    """
    topology = plan.topology
    nodes = (*topology.sentinels, *topology.data_nodes)
    return (*(member(plan, node) for node in nodes), worker(plan))


def member(plan: Plan, node: Node) -> Container:
    """Give a data node, which hands over before it stops, or a sentinel."""
    limits = plan.config.limits
    data = node.role == "data"
    return Container(
        node=node,
        program="redis-ha-node",
        arguments=(node.role,),
        limits=limits,
        memory_mb=limits.node_memory_mb if data else limits.sentinel_memory_mb,
        start_wait_seconds=limits.start_wait_seconds,
        volumes={PATHS.data: "data"},
    )


def worker(plan: Plan) -> Container:
    """Give the backup worker, with a volume for the store where that is a folder."""
    limits, in_folder = plan.config.limits, plan.config.backup.backup_store.startswith("file://")
    volumes: dict[str, Purpose] = {PATHS.backup_state: "state"}
    if in_folder:
        volumes[STORE_PATH] = "store"
    return Container(
        node=plan.topology.worker,
        program="backup-worker",
        arguments=("run",),
        limits=limits,
        memory_mb=limits.worker_memory_mb,
        start_wait_seconds=limits.worker_start_wait_seconds,
        volumes=volumes,
        published=False,
    )


def monitors(plan: Plan) -> tuple[Container, ...]:
    """Give those who watch, exporters first; none where the setting `monitoring` is off."""
    if not plan.config.monitoring.monitoring:
        return ()
    return (redis_exporter(plan), ha_exporter(plan), prometheus(plan), alertmanager(plan))


def redis_exporter(plan: Plan) -> Container:
    """Give the stock exporter, which asks data nodes and sentinels."""
    node = plan.topology.monitors.redis_exporter
    return _monitor(
        plan,
        node,
        program="prometheus-redis-exporter",
        arguments=redis_exporter_options(node, paths=PATHS),
        memory_mb=plan.config.monitoring.exporter_memory_mb,
        health=(ANSWERS, "https", node.host, str(node.port), "/health"),
    )


def ha_exporter(plan: Plan) -> Container:
    """Give our own exporter, which knows what a failover would need."""
    return _monitor(
        plan,
        plan.topology.monitors.ha_exporter,
        program="redis-ha",
        arguments=("exporter",),
        memory_mb=plan.config.monitoring.exporter_memory_mb,
        health=("redis-ha-health",),
    )


def prometheus(plan: Plan) -> Container:
    """Give Prometheus with its data."""
    return _page(
        plan,
        plan.topology.monitors.prometheus,
        program="prometheus",
        arguments=prometheus_options(plan, paths=PATHS),
        memory_mb=plan.config.monitoring.prometheus_memory_mb,
    )


def alertmanager(plan: Plan) -> Container:
    """Give Alertmanager with its data."""
    node = plan.topology.monitors.alertmanager
    return _page(
        plan,
        node,
        program="prometheus-alertmanager",
        arguments=alertmanager_options(node, paths=PATHS),
        memory_mb=plan.config.monitoring.alertmanager_memory_mb,
    )


def _page(
    plan: Plan, node: Node, *, program: str, arguments: tuple[str, ...], memory_mb: int
) -> Container:
    """Give one whose page is for a browser on the host, in clear."""
    return _monitor(
        plan,
        node,
        program=program,
        arguments=arguments,
        memory_mb=memory_mb,
        health=(ANSWERS, "http", node.host, str(node.port), "/-/ready"),
        volumes={PATHS.data: "data"},
        certified=False,
    )


def _monitor(
    plan: Plan,
    node: Node,
    *,
    program: str,
    arguments: tuple[str, ...],
    memory_mb: int,
    health: tuple[str, ...],
    volumes: Mapping[str, Purpose] | None = None,
    certified: bool = True,
) -> Container:
    limits = plan.config.limits
    return Container(
        node=node,
        program=program,
        arguments=arguments,
        limits=limits,
        memory_mb=memory_mb,
        start_wait_seconds=limits.worker_start_wait_seconds,
        volumes=volumes or {},
        health=health,
        environment=ONE_CORE,
        stage="monitoring",
        certified=certified,
        sealed=True,
        awaited=False,
    )
