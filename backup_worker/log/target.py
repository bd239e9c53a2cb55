"""Which replica continues the log, and from where: pure, on what the nodes say of themselves."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from backup_worker.log.segment import SegmentName, Timeline, last_of_each
from backup_worker.log.timeline import Gap, GoOn, NotYet, Position, decide, fresh
from backup_worker.replication.source import Candidates
from redis_ha.connection import Address


@dataclass(frozen=True)
class Target:
    """Ask `source` to go on after `position`; `dead` as in GoOn."""

    source: Address
    position: Position
    dead: int = 0


def choose(
    position: Position | None, candidates: Candidates, *, avoid: Collection[Address] = ()
) -> Target | NotYet | Gap:
    """Choose among the replicas, best first, those to avoid last.

    Without a position the log begins where the replica is now. It is a Gap only when no replica
    can continue, now or soon.
    """
    replicas = sorted(candidates.replicas, key=lambda view: view.address in avoid)
    otherwise: list[NotYet | Gap] = []
    for view in replicas:
        step = (
            fresh(view, candidates.master)
            if position is None
            else decide(position, view, candidates.master)
        )
        if isinstance(step, GoOn):
            return Target(view.address, step.position, step.dead)
        otherwise.append(step)
    waiting = [step for step in otherwise if isinstance(step, NotYet)]
    return next(iter(waiting or otherwise), NotYet("no replica can serve"))


def newest(spooled: Sequence[SegmentName], stored: Sequence[SegmentName]) -> SegmentName | None:
    """Return the segment that goes furthest: of this worker's own and of what the store holds.

    In the store terms ascend, and offsets within a timeline; between two only times can tell.
    """
    term = max((name.term for name in stored), default=0)
    own = _latest(spooled)
    last = _latest([name for name in stored if name.term == term])
    if own is None or last is None:
        return own or last
    if own.replid == last.replid:
        return max(own, last, key=lambda name: name.end)
    return max(own, last, key=lambda name: name.last_ms)


def _latest(names: Iterable[SegmentName]) -> SegmentName | None:
    return max(last_of_each(names), key=lambda name: (name.last_ms, name.end), default=None)


def covered(name: SegmentName, names: Iterable[SegmentName]) -> bool:
    """Say whether other segments hold all that this one holds."""
    reached = name.start - 1
    for other in sorted(names, key=lambda other: other.start):
        if other.replid == name.replid and other.start <= reached + 1:
            reached = max(reached, other.end)
    return reached >= name.end


def missing_before(
    name: SegmentName, timeline: Timeline, stored: Sequence[SegmentName]
) -> Gap | None:
    """Say what lacks between the segments of a store and one that is to follow them."""
    before = [one.end for one in stored if one.replid in {name.replid, timeline.parent}]
    if not stored or any(end >= name.start - 1 for end in before):
        return None
    again = Position(timeline, name.start - 1)
    reason = f"the store holds no segment of timeline {name.replid} or its parent"
    if before:
        reason = f"the store's log ends at {max(before)}, the next segment begins at {name.start}"
    return Gap(reason, again=again)
