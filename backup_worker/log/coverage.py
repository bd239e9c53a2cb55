"""What the log has and lacks, and which points can be restored. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from backup_worker.log.lineage import Forest, Line, Piece, split
from backup_worker.log.past import Marks, Past
from backup_worker.log.segment import SegmentName, Timeline
from backup_worker.log.times import milliseconds, rfc3339
from backup_worker.manifest import Manifest


@dataclass(frozen=True)
class Stretch:
    """Bytes of one timeline without a gap; `since_ms` is when the first ones had arrived."""

    replid: str
    first: int
    last: int
    since_ms: int
    until_ms: int
    segments: int


@dataclass(frozen=True)
class Gap:
    """Bytes `first` to `last` of a timeline are missing between two stretches."""

    replid: str
    first: int
    last: int


@dataclass(frozen=True)
class Range:
    """Points that can be restored: every offset from `first` to `last`, every time between."""

    replid: str
    first: int
    last: int
    since_ms: int
    until_ms: int

    def __str__(self) -> str:
        return (
            f"{rfc3339(self.since_ms)} to {rfc3339(self.until_ms)}"
            f" (offsets {self.first} to {self.last} of {self.replid[:12]})"
        )


@dataclass(frozen=True)
class Coverage:
    """What the log has, timeline by timeline, what it lacks, and what can be restored."""

    stretches: tuple[Stretch, ...]
    gaps: tuple[Gap, ...]
    ranges: tuple[Range, ...]


def coverage(
    snapshots: Sequence[Manifest],
    segments: Sequence[SegmentName],
    timelines: Mapping[str, Timeline],
    *,
    marks: Marks | None = None,
) -> Coverage:
    """Say what the log has and lacks; times begin with a segment's end unless `marks` has it."""
    surveyor = _Surveyor(Past(snapshots, segments, Forest(timelines), marks or {}))
    return Coverage(tuple(surveyor.stretches()), tuple(surveyor.gaps()), tuple(surveyor.ranges()))


def ranges(past: Past) -> list[Range]:
    """Return what can be restored, oldest first; a part of another range is left out."""
    return _Surveyor(past).ranges()


class _Surveyor:
    def __init__(self, past: Past) -> None:
        self._past = past

    def stretches(self) -> Iterator[Stretch]:
        """Yield what there is of each timeline."""
        for owner, pieces in sorted(self._past.pieces.items()):
            for run in split(pieces):
                yield Stretch(
                    owner,
                    run[0].first,
                    run[-1].last,
                    self._since(run[0]),
                    self._until(run[-1]),
                    len({one.name for one in run}),
                )

    def gaps(self) -> Iterator[Gap]:
        """Yield what is missing between two stretches of a history, each once."""
        told: set[Gap] = set()
        for replid in sorted(self._past.pieces):
            for one, other in pairwise(self._past.line(replid).runs()):
                owner = self._past.forest.owner(replid, one[-1].last + 1)
                gap = Gap(owner, one[-1].last + 1, other[0].first - 1)
                if gap not in told:
                    told.add(gap)
                    yield gap

    def ranges(self) -> list[Range]:
        """Return what can be restored, oldest first; a part of another range is left out."""
        found: list[Range] = []
        for replid in sorted({*self._past.pieces, *self._snapshot_owners()}):
            found += self._ranges_on(self._past.line(replid))
        kept = [one for one in found if not any(self._within(one, other) for other in found)]
        return sorted(set(kept), key=lambda one: (one.until_ms, one.since_ms, one.replid))

    def _ranges_on(self, whole: Line) -> Iterator[Range]:
        bases = sorted(self._past.bases(whole), key=lambda one: one.replication.offset)
        runs = whole.runs()
        for run in runs:
            first, last = run[0].first - 1, run[-1].last
            reached = [one for one in bases if first <= one.replication.offset <= last]
            if reached:
                offset = reached[0].replication.offset
                since = self._moment(reached[0], run)
                owner = self._past.forest.owner(whole.replid, last)
                yield Range(owner, offset, last, since, self._until(run[-1]))
        for base in bases:
            offset = base.replication.offset
            if not any(run[0].first - 1 <= offset <= run[-1].last for run in runs):
                moment = milliseconds(base.taken_at)
                owner = self._past.forest.owner(base.replication.replid, offset)
                yield Range(owner, offset, offset, moment, moment)

    def _within(self, one: Range, other: Range) -> bool:
        """Say whether another range has every point of this one."""
        if one == other or one.first < other.first:
            return False
        line_of_other = self._past.line(other.replid)
        return line_of_other.holds(one.replid, one.last) and one.last <= other.last

    def _snapshot_owners(self) -> set[str]:
        points = (one.replication for one in self._past.snapshots)
        return {self._past.forest.owner(point.replid, point.offset) for point in points}

    def _moment(self, base: Manifest, run: tuple[Piece, ...]) -> int:
        """Return the time of the first mark at or after a snapshot's offset, else its own."""
        offset = base.replication.offset
        for piece in run:
            if piece.last >= offset:
                known = self._past.marks.get(piece.name, ())
                times = (mark.time_ms for mark in known if mark.offset >= offset)
                return next(times, milliseconds(base.taken_at))
        return milliseconds(base.taken_at)

    def _since(self, piece: Piece) -> int:
        known = self._past.marks.get(piece.name, ())
        return next((m.time_ms for m in known if m.offset >= piece.first), piece.name.last_ms)

    def _until(self, piece: Piece) -> int:
        known = [mark for mark in self._past.marks.get(piece.name, ()) if mark.offset <= piece.last]
        return known[-1].time_ms if known else piece.name.last_ms
