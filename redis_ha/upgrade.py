"""How a cluster's engine is upgraded: what forbids it, the steps, the way back. Pure.

The nodes are changed one at a time by a `pulumi up`. A server loads what an older one wrote, not
what a newer one did: there is no way back but a snapshot of the old engine's.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from redis_ha.backup_report import Snapshot
from redis_ha.connection import Address
from redis_ha.releases import RELEASES
from redis_ha.site import Member

SETTING = "engine"
# The setting's values: the program and its release line (infra.config has the same).
ENGINES: dict[str, tuple[str, str]] = {
    "redis-8": ("redis", "8.0"),
    "redis-7": ("redis", "7.0"),
    "valkey-8": ("valkey", "8.1"),
}
DOCUMENTED = "docs/OPERATIONS.md, Upgrade the engine"


@dataclass(frozen=True)
class Seen:
    """A stack as it is: the setting, what the last `up` made of it, and what its nodes run.

    `running` is of the nodes that answered, without what is no engine of ours.
    """

    wanted: str
    deployed: str
    running: AbstractSet[str] = frozenset()

    @property
    def begun(self) -> bool:
        """Say whether a node runs something else than what the last whole `up` left."""
        return bool(self.running - {self.deployed})


@dataclass(frozen=True)
class Step:
    """What is done, and what for."""

    name: str
    does: str


def engine_of_node(program: str, version: str) -> str:
    """Name the setting's value that a server's own words stand for; empty where it is none."""
    line = ".".join(version.split(".")[:2])
    return next((name for name, known in ENGINES.items() if known == (program, line)), "")


def writes(engine: str) -> int:
    """Return the RDB version that an engine writes, and the newest that it loads."""
    return next(one.rdb_version for one in RELEASES if (one.engine, one.line) == ENGINES[engine])


def obstacle(target: str, seen: Seen) -> str:
    """Say why the data would not survive it; empty when it would."""
    holders = sorted({seen.deployed, *seen.running} & ENGINES.keys(), key=writes)
    if not holders or writes(holders[-1]) <= writes(target):
        return ""
    newest = holders[-1]
    return (
        f"that would be a downgrade: {newest} wrote the data in RDB version {writes(newest)}, and"
        f" {target} loads none above {writes(target)}"
    )


def way_back(old: str, snapshot: str = "ID") -> str:
    """Say how a cluster comes back to its old engine, in one sentence."""
    return (
        f"save the identity and {snapshot} (`backup-worker restore {snapshot} --output old.rdb`),"
        f" `pulumi destroy`, engine {old}, `pulumi up`, `backup-worker restore --from old.rdb`"
        f" ({DOCUMENTED})"
    )


def steps(target: str, seen: Seen, *, backup: bool = True) -> list[Step]:
    """Give what is left to do, in order; nothing where all is done.

    Of one that was interrupted the last step is taken again: `up` goes on where it ended.
    """
    if seen.wanted == seen.deployed == target and not seen.begun:
        return []
    snapshot = (
        "the newest proven snapshot of before is looked for: it is the way back"
        if seen.begun
        else "the worker takes a new snapshot and proves it: it is the way back"
    )
    handover = "the node that is changed last becomes master, so that none follows a newer one"
    nodes = f"{seen.deployed} becomes {target}, one node at a time; the master hands over"
    return [
        *([Step("snapshot", snapshot)] if backup else []),
        *([] if seen.begun else [Step("handover", handover)]),
        Step("up", nodes),
    ]


def successor(nodes: Sequence[Member], *, master: Address) -> Member | None:
    """Say who becomes master first: the one that `up` changes last; None where it is already.

    An older server that lost its place in the stream could not load what a newer one sends.
    """
    last = nodes[-1]
    return None if last.address == master else last


def loadable(snapshots: Sequence[Snapshot], *, by: str) -> Snapshot | None:
    """Choose the newest proven snapshot that this engine wrote itself, of those newest first."""
    return next((one for one in snapshots if not unfit(one, engine=by)), None)


def unfit(snapshot: Snapshot, *, engine: str) -> str:
    """Say why a snapshot is no way back to that engine; empty when it is one."""
    if snapshot.state != "proven":
        return f"the snapshot {snapshot.id} is {snapshot.state}" + (
            f" ({snapshot.note})" if snapshot.note else ""
        )
    if engine_of_node(snapshot.program, snapshot.version) != engine:
        written_by = f"{snapshot.program} {snapshot.version}"
        return f"the snapshot {snapshot.id} was written by {written_by}, not by {engine}"
    return ""
