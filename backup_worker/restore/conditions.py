"""Whether a live restore may begin: every reason against it, found before anything is touched."""

from collections.abc import Sequence
from dataclasses import dataclass

from backup_worker.errors import RefusedForSafety
from backup_worker.manifest import Engine
from backup_worker.proving.scratch import Binary
from backup_worker.restore.compatibility import can_read
from backup_worker.restore.journal import SHORTEST_HOLD
from backup_worker.restore.rdb_file import RdbFile, Restorable
from backup_worker.restore.survey import NodeState, ScratchState, Seen, SentinelState
from redis_ha.connection import Address

# Room beside RDB and log for the scratch server's log and configuration, bytes.
_SPARE = 16 * 1024 * 1024
_WAYS_ON = (
    "with --resume or --undo; if that machine is lost: `backup-worker restore --undo --force`"
)


@dataclass(frozen=True)
class Place:
    """Where the snapshot is loaded first: the program there and its free disk space (bytes)."""

    binary: Binary
    free: int


def reasons_against(
    seen: Seen,
    data: Restorable,
    *,
    master: Address,
    place: Place,
    force: bool,
    log_bytes: int = 0,
) -> list[str]:
    """Name every reason not to begin; empty when a live restore may start.

    `data` is what is restored; `log_bytes` is how much of the log is replayed after it.
    `force` accepts data nodes that do not answer: they follow the master when they are back.
    """
    return [
        *cluster_trouble(seen, master, force=force),
        *_unreadable(seen.nodes, data.engine, place.binary),
        *_too_little_disk(_to_write(data) + log_bytes, place),
    ]


def cluster_trouble(seen: Seen, master: Address, *, force: bool = False) -> list[str]:
    """Name what is wrong with sentinels and data nodes; empty when they are all in order."""
    return [
        *foreign_traces(seen),
        *(text for one in seen.sentinels if (text := _sentinel_trouble(one, master))),
        *_epoch_trouble(seen.sentinels),
        *(text for node in seen.nodes if (text := _node_trouble(node, master, force=force))),
    ]


def foreign_traces(seen: Seen) -> list[str]:
    """Name what a restore has done to the cluster whose journal is not here; empty if nothing.

    Its settings are none to put back: Sentinel would keep still for good.
    """
    astray = [text for node in seen.nodes if (text := _led_astray(node, seen.nodes))]
    return [*_held_elsewhere(seen.sentinels), *astray]


def require_none(reasons: Sequence[str], *, snapshot: str) -> None:
    """Raise RefusedForSafety with all the reasons, if there are any."""
    if reasons:
        raise RefusedForSafety(
            operation="restore",
            subject=snapshot,
            cause="; ".join(reasons),
            hint="put that right first; nothing was changed",
        )


def memory_trouble(scratch: ScratchState | None, nodes: Sequence[NodeState]) -> list[str]:
    """Say which nodes' maxmemory the loaded data would exceed: they would evict it at once."""
    return [
        f"{node.address} has maxmemory {node.maxmemory} bytes, the snapshot's data takes "
        f"{scratch.used_memory}: keys would be evicted (raise maxmemory)"
        for node in nodes
        if scratch is not None and 0 < node.maxmemory < scratch.used_memory
    ]


def _held_elsewhere(sentinels: Sequence[SentinelState]) -> list[str]:
    held = [one for one in sentinels if one.down_after >= SHORTEST_HOLD]
    if not held:
        return []
    names = ", ".join(f"{one.address} has down-after {one.down_after} ms" for one in held)
    return [
        f"another restore holds this cluster ({names}): end it where its journal lies, {_WAYS_ON}"
    ]


def _led_astray(node: NodeState, nodes: Sequence[NodeState]) -> str | None:
    """Name a replica of a server that is none of the cluster's: another restore attached it."""
    source = node.view.master
    if source is None or source in {one.address for one in nodes}:
        return None
    return (
        f"data node {node.address} follows {source}, which is none of the cluster's nodes: another"
        f" restore may have attached it; end that where its journal lies, {_WAYS_ON}"
    )


def _sentinel_trouble(sentinel: SentinelState, master: Address) -> str | None:
    if sentinel.master is None:
        return f"sentinel {sentinel.address} does not answer ({sentinel.problem})"
    if sentinel.master != master:
        return f"sentinel {sentinel.address} names another master, {sentinel.master}"
    if sentinel.flags != {"master"}:
        flags = ", ".join(sorted(sentinel.flags - {"master"}))
        return f"sentinel {sentinel.address} sees the master as {flags}"
    return None


def _epoch_trouble(sentinels: Sequence[SentinelState]) -> list[str]:
    epochs = {one.config_epoch for one in sentinels if one.master is not None}
    return ["the sentinels have not yet agreed after a failover"] if len(epochs) > 1 else []


def _node_trouble(node: NodeState, master: Address, *, force: bool) -> str | None:
    if node.view.role is None:
        allowed = force and node.address != master
        hint = " (--force restores without it)" if node.address != master else ""
        text = f"data node {node.address} does not answer ({node.view.problem}){hint}"
        return None if allowed else text
    if node.view.loading:
        return f"data node {node.address} is loading"
    expected = "master" if node.address == master else "slave"
    if node.view.role != expected:
        return f"data node {node.address} is {node.view.role}, the sentinels expect {expected}"
    return None


def _unreadable(nodes: Sequence[NodeState], writer: Engine, binary: Binary) -> list[str]:
    readers = [("the scratch server", binary.engine, binary.version)] + [
        (f"data node {node.address}", node.engine, node.version)
        for node in nodes
        if node.view.role is not None
    ]
    return [
        f"{reader} runs {engine} {version}, which does not read RDB version "
        f"{writer.rdb_version} ({writer.name} {writer.version})"
        for reader, engine, version in readers
        if not can_read(engine, version, writer.rdb_version)
    ]


def _to_write(data: Restorable) -> int:
    """Bytes: a plain file's copy is linked, not copied again."""
    return 0 if isinstance(data, RdbFile) and data.kept else data.rdb.size


def _too_little_disk(size: int, place: Place) -> list[str]:
    needed = size + _SPARE
    if place.free >= needed:
        return []
    return [f"the scratch directory has {place.free} bytes free, {needed} are needed"]
