"""How a point in time is reached: a snapshot and the pieces of the log after it. Pure.

Only names are needed, and the marks of the few segments that `deciding` tells. What bytes are
shared between timelines says lineage.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from backup_worker.errors import PointNotFound
from backup_worker.log.coverage import ranges
from backup_worker.log.lineage import Forest, Line, Piece, owned
from backup_worker.log.past import Marks, Past
from backup_worker.log.segment import Mark, SegmentName, Timeline
from backup_worker.log.times import milliseconds, rfc3339
from backup_worker.manifest import Manifest

_NAMED_RANGES = 5
# Where a clock leapt, times of hours follow on one another. Of two marks before a moment the one
# that comes close to it (ms) tells, and the later in the stream if both do.
_NEAR_MS = 60_000


@dataclass(frozen=True)
class AtTime:
    """What the cluster held at a moment: all that had arrived by then."""

    moment: datetime

    @property
    def ms(self) -> int:
        return milliseconds(self.moment)

    def __str__(self) -> str:
        return rfc3339(self.ms)


@dataclass(frozen=True)
class AtOffset:
    """All bytes up to and including `offset` of the history that ends in timeline `replid`.

    `replid` may be the beginning of one; None means the newest.
    """

    offset: int
    replid: str | None = None

    def __str__(self) -> str:
        return f"offset {self.offset}" + (f" of {self.replid[:12]}" if self.replid else "")


Target = AtTime | AtOffset


@dataclass(frozen=True)
class Replay:
    """A snapshot, and the pieces of the log that follow on it without a gap.

    They end at `offset` of `replid`; the cut is there, or at the last boundary before.
    """

    base: Manifest
    replid: str
    offset: int
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes of log to replay."""
        return sum(piece.size for piece in self.pieces)


def plan_replay(
    snapshots: Sequence[Manifest],
    segments: Sequence[SegmentName],
    timelines: Mapping[str, Timeline],
    target: Target,
    *,
    marks: Marks | None = None,
) -> Replay:
    """Choose the newest snapshot from which the log reaches `target` without a gap.

    `marks` holds those of the segments that `deciding` names. Raises PointNotFound, which says
    what can be reached.
    """
    planner = _Planner(Past(snapshots, segments, Forest(timelines), marks or {}))
    return planner.at_time(target) if isinstance(target, AtTime) else planner.at_offset(target)


def deciding(
    segments: Sequence[SegmentName], timelines: Mapping[str, Timeline], target: Target
) -> tuple[SegmentName, ...]:
    """Name the segments whose marks decide where a time lies: a few for each timeline."""
    if isinstance(target, AtOffset):
        return ()
    names: set[SegmentName] = set()
    for pieces in owned(segments, Forest(timelines)).values():
        last = _last_before(pieces, target.ms)
        shared = (one for one in pieces if one.last != one.name.end)
        names.update(one.name for one in (*pieces[max(last, 0) : last + 2], *shared))
    return tuple(sorted(names))


class _Planner:
    """Finds the way to a point in one look at a store."""

    def __init__(self, past: Past) -> None:
        self._past = past

    def at_offset(self, target: AtOffset) -> Replay:
        """Plan for an offset of a history."""
        replid = self._named(target)
        owner = self._past.forest.owner(replid, target.offset)
        return self._to(self._past.line(owner), target.offset, target)

    def at_time(self, target: AtTime) -> Replay:
        """Plan for what had arrived by a moment."""
        found = [
            (mark.time_ms, len(self._past.line(owner).path), mark.offset, owner)
            for owner in self._past.pieces
            if (mark := self._last_mark(owner, target.ms)) is not None
        ]
        for snapshot in self._past.snapshots:
            if milliseconds(snapshot.taken_at) == target.ms and not found:
                point = snapshot.replication
                return Replay(snapshot, point.replid, point.offset, ())
        if not found:
            raise self._not_found(target, "it lies before all that the log holds")
        time_ms, _, offset, owner = max(found)
        if time_ms < target.ms and not self._goes_on(owner, offset):
            raise self._not_found(target, "the log holds nothing of that time")
        return self._to(self._past.line(owner), offset, target)

    def _to(self, whole: Line, offset: int, target: Target) -> Replay:
        """Reach an offset of a line from the newest snapshot that it can be reached from."""
        before = [one for one in self._past.bases(whole) if one.replication.offset <= offset]
        for base in sorted(before, key=lambda one: (one.replication.offset, one.id), reverse=True):
            pieces = whole.between(base.replication.offset, offset)
            if pieces is not None:
                return Replay(base, whole.replid, offset, pieces)
        cause = "the log has a gap before it" if before else "no snapshot lies before it"
        raise self._not_found(target, cause)

    def _last_mark(self, owner: str, ms: int) -> Mark | None:
        """Return the last mark among an owner's own bytes that is not later than `ms`."""
        latest = max((mark.time_ms for mark in self._marks_before(owner, ms)), default=0)
        near = (m for m in self._marks_before(owner, ms) if m.time_ms >= latest - _NEAR_MS)
        return max(near, key=lambda mark: mark.offset, default=None)

    def _marks_before(self, owner: str, ms: int) -> Iterator[Mark]:
        """Yield those known marks, and the ends of pieces, that are not later than `ms`."""
        for piece in self._past.pieces[owner]:
            if piece.last == piece.name.end and piece.name.last_ms <= ms:
                yield Mark(piece.last, piece.name.last_ms)
            for mark in self._past.marks.get(piece.name, ()):
                if piece.first <= mark.offset <= piece.last and mark.time_ms <= ms:
                    yield mark

    def _goes_on(self, owner: str, offset: int) -> bool:
        """Say whether the log has what came next: of this timeline, or of one that left it."""
        if any(one.first <= offset + 1 <= one.last for one in self._past.pieces[owner]):
            return True
        for child in self._past.pieces:
            above = self._past.forest.parent(child)
            if above is None or above[1] > offset or above[0] != owner:
                continue
            if self._past.pieces[child][0].first == above[1] + 1:
                return True
        return False

    def _named(self, target: AtOffset) -> str:
        if target.replid is None:
            newest = self._past.newest_timeline()
            if newest is None:
                raise self._not_found(target, "there is neither a snapshot nor a log")
            return newest
        known = {one.replication.replid for one in self._past.snapshots}
        known |= {*self._past.forest.timelines, *self._past.pieces}
        found = [one for one in sorted(known) if one.startswith(target.replid)]
        if len(found) != 1:
            count = len(found) or "none"
            raise self._not_found(target, f"of the timelines, {count} begin with that id")
        return found[0]

    def _not_found(self, target: Target, cause: str) -> PointNotFound:
        found = [str(one) for one in ranges(self._past)]
        shown = "; ".join(found[-_NAMED_RANGES:]) or "nothing"
        more = f" and {len(found) - _NAMED_RANGES} older ranges" * (len(found) > _NAMED_RANGES)
        return PointNotFound(
            operation="restore",
            subject=str(target),
            cause=f"{cause}; what can be restored: {shown}{more}",
            hint="name a point in such a range; `backup-worker log` shows what there is",
        )


def _last_before(pieces: Sequence[Piece], ms: int) -> int:
    """Return the index of the last piece that ended by `ms`, and near it; -1 if none did."""
    whole = (one.name.last_ms for one in pieces if one.last == one.name.end)
    latest = max((last_ms for last_ms in whole if last_ms <= ms), default=0)
    for index in range(len(pieces) - 1, -1, -1):
        name = pieces[index].name
        if pieces[index].last == name.end and latest - _NEAR_MS <= name.last_ms <= ms:
            return index
    return -1
