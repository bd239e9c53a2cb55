"""What a store holds of the past: snapshots, log and timelines, and the way to a point in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import age
from backup_worker.catalog import Catalog
from backup_worker.errors import PointNotFound, SnapshotCorrupt
from backup_worker.log import plan as plans
from backup_worker.log.catalog import LogCatalog
from backup_worker.log.commands import CommandReader
from backup_worker.log.coverage import Coverage, coverage
from backup_worker.log.past import Marks
from backup_worker.log.plan import AtTime, Replay, Target
from backup_worker.log.reading import SegmentReader
from backup_worker.log.segment import Segment, SegmentName, Timeline
from backup_worker.manifest import Manifest


@dataclass(frozen=True)
class History:
    """Good snapshots, segment names and timelines of one store at one moment.

    Timelines whose place can't be read are left out, segments and all: `problems` says why.
    """

    snapshots: tuple[Manifest, ...]
    names: tuple[SegmentName, ...]
    timelines: dict[str, Timeline]
    log: LogCatalog
    problems: Mapping[str, SnapshotCorrupt] = field(default_factory=dict)

    def plan(self, target: Target, *, base: Manifest | None = None) -> Replay:
        """Find the way to a point, from `base` if one is given; raises PointNotFound.

        The cut is not yet on a boundary: see `cut`.
        """
        marks = self._marks(target)
        snapshots = self.snapshots if base is None else (base,)
        try:
            return plans.plan_replay(snapshots, self.names, self.timelines, target, marks=marks)
        except PointNotFound as error:
            if base is None:
                raise
            raise PointNotFound(
                operation=error.operation,
                subject=f"{error.subject} from snapshot {base.id}",
                cause=error.cause,
                hint="leave the snapshot out: the right one is chosen",
            ) from error

    def cut(self, replay: Replay, identities: Sequence[age.Identity]) -> Replay:
        """Move a replay's end to the last boundary: between two commands, in no transaction."""
        if not replay.pieces or replay.pieces[-1].last == replay.pieces[-1].name.end:
            return replay
        *before, piece = replay.pieces
        segment = self.log.read(piece.name)
        reader = CommandReader(
            offset=segment.start - 1, db=segment.db, subject=piece.name.object_key
        )
        for chunk in SegmentReader(self.log.store, identities).upto(segment, piece.last):
            for _ in reader.feed(chunk):
                pass
        # Where the base itself is the last boundary, nothing of this piece is left.
        offset = max(reader.boundary, piece.first - 1)
        rest = (replace(piece, last=offset),) if offset >= piece.first else ()
        return replace(replay, offset=offset, pieces=(*before, *rest))

    def arrival(self, replay: Replay) -> int | None:
        """Return when the last byte of a replay had arrived (ms), None without a log."""
        if not replay.pieces:
            return None
        marks = self.log.read(replay.pieces[-1].name).marks
        return next((mark.time_ms for mark in marks if mark.offset >= replay.offset), None)

    def coverage(self) -> Coverage:
        """Say what the log has and lacks; what can't be read costs only precision."""
        rough = coverage(self.snapshots, self.names, self.timelines)
        starts = {(one.replid, one.first) for one in rough.stretches}
        first = [name for name in self.names if (name.replid, name.start) in starts]
        known = {name: one.marks for name in first if (one := self._try(name)) is not None}
        return coverage(self.snapshots, self.names, self.timelines, marks=known)

    def _marks(self, target: Target) -> Marks:
        """Read the marks that decide; a segment that ended by then may be unreadable.

        Its name says when it ended, and what is replayed is read anyway.
        """
        names = plans.deciding(self.names, self.timelines, target)
        early = {n for n in names if isinstance(target, AtTime) and n.last_ms <= target.ms}
        known = {name: one.marks for name in early if (one := self._try(name)) is not None}
        late = [name for name in names if name not in early]
        found = self.log.read_all(late)
        return known | {name: one.marks for name, one in zip(late, found, strict=True)}

    def _try(self, name: SegmentName) -> Segment | None:
        try:
            return self.log.read(name)
        except SnapshotCorrupt:
            return None


@dataclass(frozen=True)
class Timelines:
    """Timelines by replication id: those whose place is known, and why of the others it isn't."""

    known: dict[str, Timeline]
    problems: dict[str, SnapshotCorrupt]


def read_history(catalog: Catalog) -> History:
    """Look at a store; snapshots whose proof failed are left out. Raises StoreUnreachable."""
    entries = catalog.list().entries
    snapshots = tuple(e.manifest for e in entries if e.manifest is not None and not e.failed)
    log = LogCatalog(catalog.store, catalog.trusted)
    names = log.list().names
    timelines = read_timelines(log, names)
    placed = tuple(name for name in names if name.replid in timelines.known)
    return History(snapshots, placed, timelines.known, log, timelines.problems)


def read_timelines(log: LogCatalog, names: Iterable[SegmentName]) -> Timelines:
    """Learn each timeline's parent from its first segment, or its last one if that says nothing.

    Where neither can be read it is a problem: an old signer's, or one damaged manifest, must not
    hide all the other timelines.
    """
    ends: dict[str, tuple[SegmentName, SegmentName]] = {}
    for name in names:
        first, last = ends.get(name.replid, (name, name))
        ends[name.replid] = (min(first, name), max(last, name))
    found = Timelines({}, {})
    for replid, (first, last) in ends.items():
        try:
            found.known[replid] = _timeline(log, first, last)
        except SnapshotCorrupt as error:
            found.problems[replid] = error
    return found


def _timeline(log: LogCatalog, first: SegmentName, last: SegmentName) -> Timeline:
    found: Timeline | None = None
    problem: SnapshotCorrupt | None = None
    for name in dict.fromkeys((first, last)):
        try:
            timeline = log.read(name).timeline
        except SnapshotCorrupt as error:
            problem = problem or error
            continue
        if found is None or found.parent is None:
            found = timeline
    if found is None and problem is not None:
        raise problem
    return found or Timeline(first.replid)
