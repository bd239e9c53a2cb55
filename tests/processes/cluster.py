"""A real cluster on loopback: redis-server and redis-sentinel processes over TLS with ACL users.

    with Cluster.start(tmp_path) as cluster:
        cluster.master.kill().erase_disk().start()
        cluster.wait_until_healthy()

Bare nodes are plain redis-server processes; with `guarded=True` every data node runs under
`redis-ha-node data` and every sentinel under `redis-ha-node sentinel`, and the test plays the
part of the restart policy.
"""

import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import redis

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import (
    Access,
    NodeView,
    SentinelView,
    ask_nodes,
    ask_sentinels,
    find_master,
    majority_master,
)
from redis_ha.errors import RedisHaError
from tests.processes import cluster_files as files
from tests.processes.cluster_process import REPOSITORY, Process
from tests.processes.ports import HOST, free_ports

__all__ = ["REPOSITORY", "Cluster", "Place", "Process", "Settings"]


@dataclass(frozen=True)
class Place:
    """Where a process runs: the address that it has there, and what runs a command there."""

    address: str = HOST
    prefix: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What a test may choose; times in milliseconds."""

    data_nodes: int = 3
    sentinels: int = 3
    down_after: int = 2000
    failover_timeout: int = 20_000
    guarded: bool = False
    # Only with `guarded`: a witness beside each sentinel.
    witness: bool = False
    # Lines for every redis.conf, last so that they win.
    redis_lines: tuple[str, ...] = ()
    start_seconds: float = 20.0
    # By name of the process; loopback for who isn't in it.
    places: Mapping[str, Place] = field(default_factory=dict)

    def place(self, name: str) -> Place:
        return self.places.get(name, Place())


@dataclass
class Cluster:
    """Data nodes `redis-1..` and sentinels `sentinel-1..`; redis-1 is the first master."""

    settings: Settings
    directory: Path
    tls: files.Tls
    data_nodes: list[Process] = field(default_factory=list)
    sentinels: list[Process] = field(default_factory=list)

    @classmethod
    @contextmanager
    def start(cls, directory: Path, settings: Settings | None = None) -> Iterator["Cluster"]:
        """Start a cluster, wait until it is healthy, and end its processes at the end."""
        cluster = cls.prepare(directory, settings or Settings())
        try:
            cluster.start_all()
            yield cluster
        finally:
            cluster.end()

    @classmethod
    def prepare(cls, directory: Path, settings: Settings) -> "Cluster":
        """Write the files of a cluster and start nothing."""
        names = [f"redis-{n + 1}" for n in range(settings.data_nodes)]
        names += [f"sentinel-{n + 1}" for n in range(settings.sentinels)]
        places = [settings.place(name) for name in names]
        tls = files.write_tls(directory / "tls", *sorted({place.address for place in places}))
        cluster = cls(settings, directory, tls)
        ports = free_ports(len(names))
        addresses = [Address(p.address, port) for p, port in zip(places, ports, strict=True)]
        data, sentinels = addresses[: settings.data_nodes], addresses[settings.data_nodes :]
        access = cluster._access_of("operator", tuple(sentinels))
        cluster.data_nodes = [
            cluster._data_node(f"redis-{number}", address, access, first=data[0])
            for number, address in enumerate(data, start=1)
        ]
        ids = [secrets.token_hex(20) for _ in sentinels]
        cluster.sentinels = [
            cluster._sentinel(index, sentinels, ids=ids, data=data, access=access)
            for index in range(len(sentinels))
        ]
        if settings.guarded:
            cluster._write_node_json()
        return cluster

    def start_all(self) -> None:
        """Start every process that doesn't run, and wait until the cluster is healthy."""
        for process in (*self.sentinels, *self.data_nodes):
            if not process.running:
                process.start()
        if self.settings.guarded:
            self.hurry_sentinels(1000)
        self.wait_until_healthy(self.settings.start_seconds)
        if self.settings.guarded:
            self.hurry_sentinels(10_000)

    @property
    def master(self) -> Process:
        """Return the node that the sentinels' majority names."""
        address = majority_master(ask_sentinels(self.access("operator")))
        return next(node for node in self.data_nodes if node.address == address)

    @property
    def replicas(self) -> list[Process]:
        """Return the other data nodes, running or not."""
        master = self.master
        return [node for node in self.data_nodes if node is not master]

    def node(self, name: str) -> Process:
        return next(p for p in (*self.data_nodes, *self.sentinels) if p.name == name)

    def access(self, user: str = "operator") -> Access:
        """Say how to reach this cluster as one of the ACL users."""
        return self._access_of(user, tuple(process.address for process in self.sentinels))

    def views(self) -> list[NodeView]:
        """Ask every data node what it is."""
        return ask_nodes(self.access("operator"), [node.address for node in self.data_nodes])

    def digests(self) -> list[str]:
        """Return each data node's DEBUG DIGEST, in order."""
        digests = []
        for node in self.data_nodes:
            with node.client(timeout=30.0) as client:
                digests.append(str(client.execute_command("DEBUG", "DIGEST")))
        return digests

    def digest(self) -> str:
        """Return the master's DEBUG DIGEST."""
        return self.digests()[self.data_nodes.index(self.master)]

    def wait_until_healthy(self, timeout: float = 30.0) -> Self:
        """Wait for one undisputed master, every replica in sync, every sentinel knowing all."""
        self.wait_for(lambda: not self.complaints(), timeout, self.complaints)
        return self

    def complaints(self) -> list[str]:
        """Say what keeps the cluster from being healthy; empty when it is."""
        found = self._disagreements()
        return found and [*found, *self._ends()]

    def _ends(self) -> list[str]:
        processes = (*self.data_nodes, *self.sentinels)
        return [f"{p.name} ended: {p.log[-500:]}" for p in processes if not p.running]

    def _disagreements(self) -> list[str]:
        views = ask_sentinels(self.access("operator"))
        master = majority_master(views)
        found = [text for view in views if (text := self._sentinel_complaint(view, master))]
        nodes = self.views()
        leader = next((node for node in nodes if node.address == master), None)
        if leader is None or leader.role != "master":
            return [*found, f"master {master} is {leader}"]
        found += [
            f"replica {node}"
            for node in nodes
            if node is not leader
            and not (node.link_up and node.master == master and node.offset >= leader.offset)
        ]
        return found

    def wait_for(
        self,
        condition: Callable[[], bool],
        timeout: float = 20.0,
        explain: Callable[[], object] = lambda: "",
    ) -> None:
        """Poll until the condition holds; fail with the explanation and the logs' places."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout} s: {explain()} ({self.directory})")
            time.sleep(0.1)

    def wait_for_master(self, other_than: Process, timeout: float = 30.0) -> Process:
        """Wait until a node other than the given one says it is master; return it."""
        found: list[Process] = []

        def promoted() -> bool:
            roles = zip(self.data_nodes, self.views(), strict=True)
            found[:] = [n for n, view in roles if view.role == "master" and n is not other_than]
            return bool(found)

        self.wait_for(promoted, timeout, self.views)
        return found[0]

    def prefer(self, node: Process) -> None:
        """Have a replica promoted next: it has the best priority, and every sentinel knows it."""
        with node.client() as client:
            client.config_set("replica-priority", "1")
        self.hurry_sentinels(1000)

        def known(sentinel: Process) -> bool:
            with sentinel.client() as client:
                rows = client.sentinel_slaves(files.MASTER_NAME)
            return any(
                r["port"] == node.address.port and int(r["slave-priority"]) == 1 for r in rows
            )

        self.wait_for(lambda: all(known(sentinel) for sentinel in self.sentinels))

    def settled_master(self, timeout: float = 20.0) -> Process:
        """Wait until the node that the sentinels' majority names says that it is master."""
        found: list[Process] = []

        def settled() -> bool:
            with suppress(RedisHaError):
                address = find_master(self.access("operator"))
                found[:] = [node for node in self.data_nodes if node.address == address]
            return bool(found)

        self.wait_for(settled, timeout, self.views)
        return found[0]

    def end(self) -> None:
        for process in (*self.sentinels, *self.data_nodes):
            process.end()

    def _access_of(self, user: str, sentinels: tuple[Address, ...]) -> Access:
        credentials = Credentials(user, files.PASSWORDS[user])
        nodes = tuple(process.address for process in self.data_nodes)
        return Access(sentinels, files.MASTER_NAME, credentials, self.tls.ca, data_nodes=nodes)

    def _data_node(self, name: str, address: Address, access: Access, *, first: Address) -> Process:
        directory = _directories(self.directory / name)
        config, data = directory / "config", directory / "data"
        (config / "users.acl").write_text(files.users_acl(files.DATA_RULES))
        extra = self.settings.redis_lines
        text = files.redis_conf(address, data=data, config=config, tls=self.tls, extra=extra)
        (config / "redis.conf").write_text(text)
        if not self.settings.guarded:
            role = "" if address == first else f"replicaof {first.host} {first.port}\n"
            (config / "live.conf").write_text(text + role)
        bare = ("redis-server", str(config / "live.conf"))
        command = _supervised("data", config) if self.settings.guarded else bare
        return self._process(name, address, directory, command, access=access)

    def _sentinel(
        self,
        index: int,
        sentinels: Sequence[Address],
        *,
        ids: Sequence[str],
        data: Sequence[Address],
        access: Access,
    ) -> Process:
        name = f"sentinel-{index + 1}"
        directory = _directories(self.directory / name)
        config, own = directory / "config", directory / "data"
        (config / "users.acl").write_text(files.users_acl(files.SENTINEL_RULES))
        text = files.sentinel_conf(
            sentinels[index],
            data=own,
            config=config,
            tls=self.tls,
            monitor=data[0],
            timing={
                "down-after-milliseconds": self.settings.down_after,
                "failover-timeout": self.settings.failover_timeout,
                "parallel-syncs": 1,
            },
            known=() if self.settings.guarded else _known(index, sentinels, ids=ids, data=data),
        )
        seed = config / "sentinel.conf"
        seed.write_text(text)
        command: tuple[str, ...] = ("redis-server", str(seed), "--sentinel")
        if self.settings.guarded:
            command = _supervised("sentinel", config)
        return self._process(name, sentinels[index], directory, command, access=access)

    def _process(
        self,
        name: str,
        address: Address,
        directory: Path,
        command: tuple[str, ...],
        *,
        access: Access,
    ) -> Process:
        there = (*self.settings.place(name).prefix, *command)
        return Process(name, address, directory, there, access, guarded=self.settings.guarded)

    def _write_node_json(self) -> None:
        nodes = {
            "data_nodes": {node.name: node.address for node in self.data_nodes},
            "sentinels": {node.name: node.address for node in self.sentinels},
        }
        for process in (*self.data_nodes, *self.sentinels):
            role = "data" if process in self.data_nodes else "sentinel"
            text = files.node_json(
                process.name,
                role,
                directory=process.directory,
                nodes=nodes,
                tls=self.tls,
                witness=self._witness_role() if role == "sentinel" else None,
            )
            (process.directory / "config" / "node.json").write_text(text)

    def _witness_role(self) -> dict[str, object] | None:
        if not self.settings.witness:
            return None
        password = files.PASSWORDS["witness"]
        down_after = self.settings.down_after
        return {"username": "witness", "password": password, "down_after_ms": down_after}

    def hurry_sentinels(self, info_period: int) -> None:
        """Let them look at the master more often (ms) than each 10 s, to learn its replicas."""
        for sentinel in self.sentinels:
            self.wait_for(
                lambda s=sentinel: _pings(s),  # type: ignore[misc]
                self.settings.start_seconds,
                lambda s=sentinel: s.log[-500:],  # type: ignore[misc]
            )
            with sentinel.client() as client:
                client.execute_command("SENTINEL", "DEBUG", "info-period", str(info_period))

    def _sentinel_complaint(self, view: SentinelView, master: Address | None) -> str:
        if view.master is None or view.master != master:
            return f"{view}"
        access = self.access("operator")
        try:
            with access.connect(view.sentinel) as client:
                replicas = client.sentinel_slaves(files.MASTER_NAME)
                peers = client.sentinel_sentinels(files.MASTER_NAME)
        except (redis.RedisError, OSError) as error:
            return f"{view.sentinel}: {error}"
        wrong = [row["flags"] for row in (*replicas, *peers) if _troubled(row["flags"])]
        counts = (len(replicas), len(peers))
        expected = (len(self.data_nodes) - 1, len(self.sentinels) - 1)
        if wrong or counts != expected or view.flags != {"master"}:
            return f"{view}, replicas and peers {counts}, flags {wrong}"
        return ""


def _directories(directory: Path) -> Path:
    for name in ("config", "data", "run"):
        (directory / name).mkdir(parents=True)
    return directory


def _supervised(role: str, config: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "node", role, "--config", str(config / "node.json"))


def _known(
    index: int, sentinels: Sequence[Address], *, ids: Sequence[str], data: Sequence[Address]
) -> list[str]:
    """Return what a sentinel would else need ten seconds to learn."""
    name = files.MASTER_NAME
    peers = [
        f"sentinel known-sentinel {name} {peer.host} {peer.port} {ids[number]}"
        for number, peer in enumerate(sentinels)
        if number != index
    ]
    replicas = [f"sentinel known-replica {name} {node.host} {node.port}" for node in data[1:]]
    return [f"sentinel myid {ids[index]}", *replicas, *peers]


def _troubled(flags: object) -> bool:
    return any(word in str(flags) for word in ("s_down", "o_down", "disconnected"))


def _pings(process: Process) -> bool:
    with suppress(redis.RedisError, OSError), process.client() as client:
        return bool(client.ping())
    return False
