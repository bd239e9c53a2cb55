"""What a live restore must know of the cluster, seen at one moment; asking is thin and bounded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from redis_ha.connection import Address
from redis_ha.discovery import (
    Access,
    NodeView,
    at_once,
    flags_of,
    one_line,
    parse_replication,
    sentinel_fields,
)


@dataclass(frozen=True)
class NodeState:
    """One data node; `view.role` None when it gave no answer.

    `keys` counts all databases. `received` is how many bytes of a full synchronisation arrived
    so far, `loaded` how much of it is loaded (percent); `serving` how many replicas it counts as
    good ones, not loading and heard of within a second. `saving` is true while its append-only
    file doesn't yet hold the data in memory. `maxmemory` (bytes) is 0 for no limit.
    """

    view: NodeView
    engine: str = ""
    version: str = ""
    keys: int = 0
    min_replicas: int = 0
    databases: int = 16
    maxmemory: int = 0
    used_memory: int = 0
    sync_full: int = 0
    received: int = 0
    loaded: float = 0.0
    serving: int = 0
    saving: bool = False

    @property
    def address(self) -> Address:
        return self.view.address

    def holds(self, replids: Sequence[str]) -> bool:
        """Say whether its data comes from one of these histories."""
        known = {self.view.replid, self.view.replid2} & set(replids)
        return bool(known) and not self.view.loading

    def follows(self, address: Address) -> bool:
        """Say whether it is told to replicate that server, linked or not."""
        return self.view.role == "slave" and self.view.master == address


@dataclass(frozen=True)
class SentinelState:
    """One sentinel; `master` None when it gave no answer. `down_after` is in milliseconds.

    `master_reports` is the role that the master had in the last INFO it sent this sentinel (one
    each 10 s).
    """

    address: Address
    master: Address | None = None
    down_after: int = 0
    master_reports: str = "master"
    config_epoch: int = 0
    flags: frozenset[str] = frozenset()
    problem: str = ""


@dataclass(frozen=True)
class ScratchState:
    """The scratch server while it lives: where, its history, its offset (bytes) and its data.

    `used_memory` is in bytes; `frozen` says that its offset doesn't move any more.
    """

    address: Address
    replid: str
    offset: int
    keys: int
    used_memory: int
    frozen: bool = False


@dataclass(frozen=True)
class Seen:
    """The cluster at one moment."""

    nodes: tuple[NodeState, ...]
    sentinels: tuple[SentinelState, ...]
    scratch: ScratchState | None = None

    def node(self, address: Address) -> NodeState:
        """Return a node by address; one that was not asked counts as silent."""
        found = (node for node in self.nodes if node.address == address)
        return next(found, NodeState(NodeView(address, problem="not asked")))


def parse_node(
    address: Address, info: Mapping[str, Any], config: Mapping[str, str] | None
) -> NodeState:
    """Read a node's INFO and, unless it is loading and cannot say, its configuration."""
    config = config or {}
    valkey = "valkey_version" in info
    return NodeState(
        view=parse_replication(address, info),
        engine="valkey" if valkey else "redis",
        version=str(info["valkey_version" if valkey else "redis_version"]),
        keys=count_keys(info),
        min_replicas=int(config.get("min-replicas-to-write", -1)),
        databases=int(config.get("databases", 16)),
        maxmemory=int(info.get("maxmemory", 0)),
        used_memory=int(info.get("used_memory", 0)),
        sync_full=int(info.get("sync_full", 0)),
        received=int(info.get("master_sync_read_bytes", 0)),
        loaded=float(info.get("loading_loaded_perc", 0.0)),
        serving=_good_replicas(info),
        saving=_is_saving(info),
    )


def _good_replicas(info: Mapping[str, Any]) -> int:
    rows = (value for name, value in info.items() if _is_numbered(name, "slave"))
    return sum(row["state"] == "online" and int(row["lag"]) <= 1 for row in rows)


def _is_saving(info: Mapping[str, Any]) -> bool:
    """After a full synchronisation the append-only file is the old one until it was rewritten."""
    rewriting = int(info.get("aof_rewrite_in_progress", 0)) or int(
        info.get("aof_rewrite_scheduled", 0)
    )
    failed = info.get("aof_last_bgrewrite_status", "ok") != "ok"
    return bool(int(info.get("aof_enabled", 0))) and (bool(rewriting) or failed)


def count_keys(info: Mapping[str, Any]) -> int:
    """Sum the keys of all databases in an INFO."""
    return sum(int(value["keys"]) for name, value in info.items() if _is_numbered(name, "db"))


def _is_numbered(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name[len(prefix) :].isdigit()


def ask_node(access: Access, address: Address) -> NodeState:
    """Ask one data node; a failure is an answer too."""
    try:
        with access.connect(address) as client:
            info = client.info()
            busy = bool(int(info.get("loading", 0)))
            return parse_node(address, info, None if busy else _config(client))
    except (redis.RedisError, OSError) as error:
        return NodeState(NodeView(address, problem=one_line(error)))


def _config(client: redis.Redis) -> dict[str, str]:
    names = ("min-replicas-to-write", "databases")
    return {name: str(client.config_get(name)[name]) for name in names}


def ask_sentinel(access: Access, address: Address) -> SentinelState:
    """Ask one sentinel; a failure is an answer too."""
    try:
        with access.connect(address) as client:
            fields = sentinel_fields(client, access.master_name)
    except (redis.RedisError, OSError) as error:
        return SentinelState(address, problem=one_line(error))
    return SentinelState(
        address,
        master=Address(fields["ip"], int(fields["port"])),
        down_after=int(fields["down-after-milliseconds"]),
        master_reports=str(fields["role-reported"]),
        config_epoch=int(fields["config-epoch"]),
        flags=flags_of(fields),
    )


def look(
    access: Access, nodes: Sequence[Address], *, scratch: Callable[[], ScratchState | None]
) -> Seen:
    """Ask all nodes and sentinels at once; `scratch` says how the scratch server does."""
    return Seen(
        nodes=tuple(at_once(lambda node: ask_node(access, node), nodes)),
        sentinels=tuple(at_once(lambda one: ask_sentinel(access, one), access.sentinels)),
        scratch=scratch(),
    )
