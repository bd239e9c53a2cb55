"""Where the log goes on, decided from what is known; pure.

An RDB or a segment that ends at offset x is followed by byte x + 1. After a failover the new
master's history has a new name; up to its fork it is that of the old one. Source: Redis
replication.c (masterTryPartialResync, shiftReplicationId).
"""

from dataclasses import dataclass, field

from backup_worker.log.segment import Timeline
from redis_ha.discovery import NodeView

_NO_HISTORY = "0" * 40


@dataclass(frozen=True)
class Position:
    """How far the log has come: up to and including `offset` of `timeline`.

    `db` is the database selected there, None where that is not known; `time_ms` the last mark.
    """

    timeline: Timeline
    offset: int
    db: int | None = None
    time_ms: int = 0


@dataclass(frozen=True)
class GoOn:
    """Ask the source to continue `position.timeline` after `position.offset`.

    `dead` says how many bytes at the log's end belong to a branch that the cluster gave up.
    """

    position: Position
    dead: int = 0


@dataclass(frozen=True)
class NotYet:
    """The source can't continue now and may soon."""

    reason: str


@dataclass(frozen=True)
class Gap:
    """The source can't continue after `lost`: the log begins anew unless another one can.

    What lies between is not in the log then. `lost` is None where not even that is known;
    `everywhere` says that no other replica can continue either; `again` where the log goes on.
    """

    reason: str
    lost: Position | None = field(default=None, compare=False)
    everywhere: bool = False
    again: Position | None = field(default=None, compare=False)


def decide(position: Position, source: NodeView, master: NodeView) -> GoOn | NotYet | Gap:
    """Say where to go on from `position` at a replica, given what it and its master say.

    Only the master's word on the fork counts: a replica's own second offset may be lower.
    """
    if source.replid != master.replid:
        return NotYet(f"{source.address} has not joined the history of its master yet")
    if source.replid == position.timeline.replid:
        if position.offset > master.offset:
            reason = f"the master stands at {master.offset}, the log at {position.offset}"
            return Gap(f"the history was rewound: {reason}", position, everywhere=True)
        return _at(source, GoOn(position), position)
    if master.replid2 != position.timeline.replid:
        reason = f"the cluster's history {master.replid} does not descend from the log's"
        return Gap(f"{reason} {position.timeline.replid}", position, everywhere=True)
    return _at(source, _cross(position, master), position)


def fresh(source: NodeView, master: NodeView) -> GoOn | NotYet:
    """Return where a log without a past begins: at what the source holds now."""
    if source.replid != master.replid:
        return NotYet(f"{source.address} has not joined the history of its master yet")
    return GoOn(Position(_timeline(master), source.offset))


def _cross(position: Position, master: NodeView) -> GoOn:
    """Go from the parent's history to the master's."""
    timeline = _timeline(master)
    fork = master.second_offset - 1
    if position.offset <= fork:
        return GoOn(Position(timeline, position.offset, position.db, position.time_ms))
    crossed = Position(timeline, fork, None, position.time_ms)
    return GoOn(crossed, dead=position.offset - fork)


def _at(source: NodeView, step: GoOn, position: Position) -> GoOn | NotYet | Gap:
    wanted = step.position.offset + 1
    if source.backlog_start is None or wanted < source.backlog_start:
        holds = f"holds nothing before {source.backlog_start}"
        return Gap(f"{source.address} {holds}, the log goes on at {wanted}", position)
    if wanted > source.offset + 1:
        return NotYet(f"{source.address} is at {source.offset}, the log at {wanted - 1}")
    return step


def _timeline(master: NodeView) -> Timeline:
    if master.second_offset <= 0 or master.replid2 == _NO_HISTORY:
        return Timeline(master.replid)
    return Timeline(master.replid, master.replid2, master.second_offset - 1)
