"""A cluster on loopback whose every file was rendered by infra, run by stock Redis."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path

import redis

from infra.acl import USER_NAMES
from infra.config import ClusterConfig
from infra.planner import Plan
from infra.rendering import Paths, node_files
from infra.topology import Monitors, Node, Role, Topology
from redis_ha.connection import Address, Credentials, connect
from tests.processes.cluster_files import write_tls

FIRST_PORT = 18_300
DEADLINE = 30.0
PASSWORDS = {user: f"{user.replace('-', '')}{'x7' * 12}" for user in USER_NAMES}


@dataclass
class RenderedCluster:
    """Running processes by node name, and how to talk to them as any user."""

    plan: Plan
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def data_nodes(self) -> tuple[Node, ...]:
        return self.plan.topology.data_nodes

    @property
    def sentinels(self) -> tuple[Node, ...]:
        return self.plan.topology.sentinels

    def connect(self, node: Node, user: str, password: str | None = None) -> redis.Redis:
        return connect(
            Address(node.host, node.port),
            credentials=Credentials(user, password or PASSWORDS[user]),
            ca=self.folder / node.name / "config" / "tls" / "ca.crt",
        )

    def start(self, node: Node, *, replica_of: Node | None = None) -> None:
        paths = self._write(node)
        name = "redis.conf" if node.role == "data" else "sentinel.conf"
        source, own = Path(paths.config, name), Path(paths.data, name)
        text = source.read_text()
        if replica_of:
            text += f"replicaof {replica_of.host} {replica_of.port}\n"
        own.write_text(text)
        command = ["redis-server", own, *(["--sentinel"] if node.role == "sentinel" else [])]
        with (self.folder / f"{node.name}.log").open("ab") as log:
            self.processes[node.name] = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self, node: Node) -> None:
        process = self.processes.pop(node.name)
        process.kill()
        process.wait()

    def wait_until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE
        while not self._holds(true):
            assert time.monotonic() < end, f"{true.__qualname__}: not within {DEADLINE} s"
            time.sleep(0.1)

    def _holds(self, true: Callable[[], bool]) -> bool:
        try:
            return true()
        except redis.RedisError:
            return False

    def _write(self, node: Node) -> Paths:
        paths = Paths(
            config=str(self.folder / node.name / "config"),
            data=str(self.folder / node.name / "data"),
            run=str(self.folder / node.name / "run"),
        )
        Path(paths.data).mkdir(parents=True, exist_ok=True)
        write_tls(Path(paths.config, "tls"))
        for name, text in node_files(self.plan, node, passwords=PASSWORDS, paths=paths).items():
            Path(paths.config, name).write_text(text)
        return paths


def loopback_topology(first_port: int) -> Topology:
    """Lay three data nodes and three sentinels out on 127.0.0.1."""

    def node(name: str, role: Role, offset: int) -> Node:
        return Node(name, role, "127.0.0.1", first_port + offset, name)

    return Topology(
        network="none",
        subnet=IPv4Network("127.0.0.0/24"),
        gateway="127.0.0.1",
        data_nodes=tuple(node(f"redis-{i + 1}", "data", i) for i in range(3)),
        sentinels=tuple(node(f"sentinel-{i + 1}", "sentinel", 10 + i) for i in range(3)),
        worker=node("backup-worker", "worker", 20),
        monitors=Monitors(*(node(f"monitor-{i}", "monitoring", 30 + i) for i in range(4))),
    )


@contextmanager
def running(folder: Path, *, engine: str = "redis-7") -> Iterator[RenderedCluster]:
    """Run sentinels and data nodes until every sentinel knows all the others."""
    config = ClusterConfig(engine=engine)  # type: ignore[arg-type]
    config = replace(config, sentinel=replace(config.sentinel, down_after_ms=2_000))
    config = replace(config, redis=replace(config.redis, repl_diskless_sync_delay=0))
    cluster = RenderedCluster(Plan(config, loopback_topology(FIRST_PORT), ()), folder)
    try:
        first, *others = cluster.data_nodes
        cluster.start(first)
        for node in others:
            cluster.start(node, replica_of=first)
        # A sentinel asks for replicas when it starts and then only every 10 s.
        cluster.wait_until(
            lambda: cluster.connect(first, "operator").info()["connected_slaves"] == len(others)
        )
        for node in cluster.sentinels:
            cluster.start(node)
        cluster.wait_until(lambda: _complete(cluster))
        yield cluster
    finally:
        for process in cluster.processes.values():
            process.kill()
            process.wait()


def _complete(cluster: RenderedCluster) -> bool:
    views = [
        cluster.connect(node, "operator").info("sentinel")["master0"] for node in cluster.sentinels
    ]
    return all(
        (view["status"], view["slaves"], view["sentinels"]) == ("ok", 2, 3) for view in views
    )
