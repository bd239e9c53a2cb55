"""What speaks for and against taking a server over, all of it found before anything is touched."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from backup_worker.adopt.source import SourceState
from backup_worker.errors import RefusedForSafety
from backup_worker.proving.scratch import Binary
from backup_worker.restore.compatibility import can_read, newest_readable
from backup_worker.restore.survey import NodeState

# CLIENT PAUSE WRITE; Valkey began with 7.2.
_OLDEST = (6, 2)
_SLOW, _SKEWED = 0.05, 1.0
# Of the memory that the data takes at the source, for the scratch server beside it.
_ROOM = 1.2


class Level(StrEnum):
    """What a finding means for the adoption."""

    OK = "ok"
    WARNING = "warning"
    REFUSED = "refused"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked and what came of it."""

    name: str
    level: Level
    text: str


@dataclass(frozen=True)
class Cluster:
    """The cluster as far as it matters here; sizes in bytes, `modules` None where not known."""

    nodes: tuple[NodeState, ...]
    master: NodeState
    policy: str
    modules: frozenset[str] | None
    functions: int

    @property
    def empty(self) -> bool:
        return not (self.master.keys or self.functions)


@dataclass(frozen=True)
class Bridge:
    """The server in between: its program and the memory (bytes) it may take.

    `copied` (bytes) is what it takes already: the copy, once that was made.
    """

    binary: Binary
    memory: int
    copied: int = 0


def findings(
    source: SourceState, cluster: Cluster, bridge: Bridge, *, replace: bool
) -> list[Finding]:
    """Judge everything; pure. `replace` accepts a cluster that holds data."""
    return [
        _kind(source, cluster),
        _version(
            source,
            [("the backup worker", bridge.binary.engine, bridge.binary.version)]
            + [(str(n.address), n.engine, n.version) for n in cluster.nodes],
        ),
        _memory(source, cluster, bridge),
        _emptiness(cluster, replace=replace),
        _databases(source, cluster),
        _modules(source, cluster),
        _eviction(source, cluster),
        _permissions(source),
        _closing(source),
        *_followers(source),
        *_left_behind(source),
        _distance(source),
    ]


def require_none_refused(found: Sequence[Finding], *, subject: str) -> None:
    """Raise RefusedForSafety with all the reasons, if there are any."""
    reasons = [one.text for one in found if one.level is Level.REFUSED]
    if reasons:
        raise RefusedForSafety(
            operation="adopt",
            subject=subject,
            cause="; ".join(reasons),
            hint="put that right first; nothing was changed",
        )


def _kind(source: SourceState, cluster: Cluster) -> Finding:
    ours = {node.view.run_id for node in cluster.nodes}
    against = (
        (source.run_id in ours, "is a data node of this cluster"),
        (source.closed, "was closed by an adoption that is over already"),
        (source.cluster_mode, "runs in cluster mode: its data is one part of many"),
        (source.role != "master", "is a replica: adopt its master"),
        (source.loading, "is loading its data"),
        (
            bool(source.watched),
            "is watched by a Sentinel, which must let go of it: `SENTINEL REMOVE`",
        ),
    )
    for applies, text in against:
        if applies:
            return _refused("kind", f"the source {text}")
    text = f"a single {source.engine} {source.version}"
    if source.watched is None:
        return _warning("kind", f"{text}; it can't be seen whether a Sentinel watches it")
    return _ok("kind", text)


def _version(source: SourceState, readers: Sequence[tuple[str, str, str]]) -> Finding:
    numbers = tuple(int(part) for part in re.findall(r"\d+", source.version)[:2])
    if numbers < _OLDEST:
        text = f"the source is {source.engine} {source.version}: writes can be paused from 6.2 on"
        return _refused("data format", f"{text} (`backup-worker restore --from dump.rdb` moves it)")
    written = newest_readable(source.engine, source.version)
    unable = [
        f"{name} runs {engine} {version}"
        for name, engine, version in readers
        if engine and not can_read(engine, version, written)
    ]
    text = f"the source writes RDB version {written} ({source.engine} {source.version})"
    if unable:
        return _refused("data format", f"{text}, which is not read where {' and '.join(unable)}")
    return _ok("data format", f"{text}: read by every node")


def _memory(source: SourceState, cluster: Cluster, bridge: Bridge) -> Finding:
    used = source.used_memory
    limit = min((node.maxmemory for node in cluster.nodes if node.maxmemory), default=0)
    text = f"the source holds {source.total} keys in {used} bytes"
    if limit and used > limit:
        return _refused("memory", f"{text}, the nodes' maxmemory is {limit}: raise maxmemory")
    if used * _ROOM > bridge.memory + bridge.copied:
        return _refused("memory", f"{text}, beside the backup worker {bridge.memory} are free")
    if limit and used > 0.8 * limit:
        return _warning("memory", f"{text}: more than 80 % of the nodes' maxmemory {limit}")
    return _ok("memory", f"{text}; the nodes' maxmemory is {limit or 'not limited'}")


def _emptiness(cluster: Cluster, *, replace: bool) -> Finding:
    if cluster.empty:
        return _ok("cluster", "it is empty")
    text = f"the cluster holds {cluster.master.keys} keys and {cluster.functions} functions"
    if replace:
        return _warning("cluster", f"{text}: they are replaced, after a safety snapshot")
    return _refused("cluster", f"{text}: --replace takes a safety snapshot and replaces them")


def _databases(source: SourceState, cluster: Cluster) -> Finding:
    highest = max((int(name[2:]) for name in source.keys), default=0)
    least = min(node.databases for node in cluster.nodes)
    text = f"the source uses databases up to {highest}, the nodes have {least}"
    return _ok("databases", text) if highest < least else _refused("databases", text)


def _modules(source: SourceState, cluster: Cluster) -> Finding:
    if source.modules is None or cluster.modules is None:
        return _warning("modules", "it can't be seen which modules the source has loaded")
    if missing := sorted(source.modules - cluster.modules):
        text = f"the source has modules that the nodes have not: {', '.join(missing)}"
        return _refused("modules", text)
    return _ok("modules", "none that the nodes lack")


def _eviction(source: SourceState, cluster: Cluster) -> Finding:
    here, there = cluster.policy, source.policy
    text = f"{here} in the cluster, {there} at the source"
    if here != "noeviction" and there == "noeviction":
        return _warning("eviction", f"{text}: where memory is short the cluster drops keys")
    return _ok("eviction", text)


def _permissions(source: SourceState) -> Finding:
    if source.denied is None:
        return _warning("permissions", "it can't be tried beforehand what the user may do")
    if source.denied:
        return _refused("permissions", f"the user may not {', '.join(source.denied)}")
    return _ok("permissions", "the user may replicate, pause and close the source")


def _closing(source: SourceState) -> Finding:
    """It is closed by making it a replica, which refuses writes only where it is set so."""
    if source.writable_replica is None:
        text = "it can't be seen whether the source refuses writes as a replica (replica-read-only)"
        return _warning("closing", f"{text}; if it doesn't, it is not closed and all is taken back")
    if not source.writable_replica:
        return _ok("closing", "the source refuses writes as a replica")
    text = "the source takes writes even as a replica (replica-read-only no)"
    if source.may_forbid:
        return _ok("closing", f"{text}: that is changed when it is closed")
    return _refused("closing", f"{text}, and the user may not change that (config set)")


def _followers(source: SourceState) -> Iterator[Finding]:
    if source.replicas:
        text = f"{source.replicas} replicas of the source are not taken over; close them as well"
        yield _warning("replicas", text)


def _left_behind(source: SourceState) -> Iterator[Finding]:
    """Name what does not travel with the data."""
    if source.users > 0:
        text = f"{source.users} ACL users stay behind: the application logs in as the cluster's"
        yield _warning("users", text)
    yield _ok("functions", f"{source.functions} libraries come along")
    kept = "append-only file" if source.append_only else "no append-only file"
    yield _ok("persistence", f"{kept} at the source; the cluster's own settings stay")


def _distance(source: SourceState) -> Finding:
    text = f"answers in {source.latency * 1000:.1f} ms, its clock is {source.skew:+.1f} s off ours"
    if source.latency > _SLOW:
        return _warning("distance", f"{text}: the pause at the switch takes several such times")
    if abs(source.skew) > _SKEWED:
        return _warning("distance", f"{text}: keys with a TTL expire by the nodes' clocks")
    return _ok("distance", text)


def _ok(name: str, text: str) -> Finding:
    return Finding(name, Level.OK, text)


def _warning(name: str, text: str) -> Finding:
    return Finding(name, Level.WARNING, text)


def _refused(name: str, text: str) -> Finding:
    return Finding(name, Level.REFUSED, text)
