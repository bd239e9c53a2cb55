"""What a store should hold and doesn't: what is gone without a trace has left one beside it. Pure.

A segment that was deleted leaves a hole after a snapshot or between its neighbours, or its other
half; a snapshot's manifest leaves the proof that was written after it. A hole that the worker
itself told of is known by what came next: a segment that begins at an unknown place, or a snapshot
because of the gap.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from backup_worker.holdings import Holdings
from backup_worker.log.lineage import Forest, Line, Piece
from backup_worker.log.past import Past
from backup_worker.log.segment import LOG, Segment, SegmentName, parse_key
from backup_worker.manifest import Kind, Manifest, manifest_key
from backup_worker.retention import outrun, plan_retention

# Returns a segment's manifest, None where it can't be read.
Read = Callable[[SegmentName], Segment | None]
Run = tuple[Piece, ...]


@dataclass(frozen=True)
class Hole:
    """Bytes of the log that are missing; `declared`: the worker knew, and took a snapshot."""

    owner: str
    first: int
    last: int
    after: SegmentName
    declared: bool

    @property
    def name(self) -> str:
        return f"{LOG}{self.owner}/{self.first:016d}-{self.last:016d}"

    @property
    def cause(self) -> str:
        return f"{self.last - self.first + 1} bytes are missing before {self.after.stem}"


@dataclass(frozen=True)
class Gone:
    """What is not there of what must have been: manifests by name and key, holes in the log."""

    manifests: tuple[tuple[str, str], ...]
    holes: tuple[Hole, ...]


def find_gone(
    holdings: Holdings, read: Read, *, now: datetime, window: timedelta | None = None
) -> Gone:
    """Say what is gone that a snapshot needs which stays; `window` is the retention, None: all."""
    past = _past(holdings, now, window)
    holes = tuple(dict.fromkeys(_holes(past, read)))
    orphans = tuple(
        (orphan.id, manifest_key(orphan.id))
        for orphan in holdings.snapshots.orphans
        if orphan.published and (window is None or orphan.taken_at >= now - window)
    )
    halves = tuple((half.stem, half.manifest_key) for half in _halves(holdings, past, holes))
    return Gone(orphans + halves, holes)


def _past(holdings: Holdings, now: datetime, window: timedelta | None) -> Past:
    kept = {entry.id for entry in holdings.snapshots.entries}
    if window is not None:
        plan = plan_retention(holdings, now=now, window=window)
        kept = {verdict.name for verdict in plan if verdict.keep}
    bases = [
        entry.manifest
        for entry in holdings.snapshots.entries
        if entry.manifest is not None and not entry.failed and entry.id in kept
    ]
    placed = [name for name in holdings.log.names if name.replid in holdings.timelines]
    return Past(bases, placed, Forest(holdings.timelines), {})


def _holes(past: Past, read: Read) -> Iterator[Hole]:
    for replid in sorted(past.pieces):
        line = past.line(replid)
        bases = list(past.bases(line))
        for first, run in _cut_off(line, bases):
            yield Hole(
                past.forest.owner(replid, first),
                first,
                run[0].first - 1,
                run[0].name,
                _begins_anew(run[0], read) or _was_bridged(run, bases),
            )


def _cut_off(line: Line, bases: Sequence[Manifest]) -> Iterator[tuple[int, Run]]:
    """Yield each run that bytes are missing before, and the first of those, that follow a base."""
    lowest = min((base.replication.offset for base in bases), default=None)
    runs = line.runs()
    if lowest is None or not runs:
        return
    if lowest + 1 < runs[0][0].first:
        yield lowest + 1, runs[0]
    for before, after in pairwise(runs):
        if lowest < after[0].first - 1:
            yield before[-1].last + 1, after


def _begins_anew(piece: Piece, read: Read) -> bool:
    """A log that goes on knows which database is selected; one that begins does not."""
    if piece.first != piece.name.start:
        return False
    segment = read(piece.name)
    return segment is not None and segment.db is None


def _was_bridged(run: Run, bases: Sequence[Manifest]) -> bool:
    first, last = run[0].first - 1, run[-1].last
    within = [base for base in bases if first <= base.replication.offset <= last]
    if not within:
        return False
    return min(within, key=lambda base: base.replication.offset).kind == Kind.GAP


def _halves(holdings: Holdings, past: Past, holes: Sequence[Hole]) -> Iterator[SegmentName]:
    """Yield segments without manifest whose bytes nothing else holds, and which are needed.

    A worker that was killed leaves such halves too: it, or another one, ships those bytes again.
    """
    stretches = _stretches(past.segments)
    for key in holdings.log.halves:
        parsed = parse_key(key)
        if parsed is None or parsed[1]:
            continue
        half = parsed[0]
        declared = any(
            hole.declared and hole.owner == half.replid and half.start <= hole.last
            and hole.first <= half.end
            for hole in holes
        )  # fmt: skip
        if not declared and _is_needed(half, past, stretches.get(half.replid, [])):
            yield half


def _is_needed(half: SegmentName, past: Past, stretches: Sequence[tuple[int, int]]) -> bool:
    index = bisect_right(stretches, (half.start, half.end))
    around = stretches[max(index - 1, 0) : index + 1]
    if any(first <= half.start and half.end <= last for first, last in around):
        return False
    goes_on = bool(stretches) and stretches[-1][1] > half.end
    bases = past.bases(past.line(half.replid))
    follows = any(base.replication.offset < half.end for base in bases)
    return goes_on and follows and outrun(half, past.segments)


def _stretches(names: Sequence[SegmentName]) -> dict[str, list[tuple[int, int]]]:
    """Return what there is of each timeline without a hole."""
    found: dict[str, list[tuple[int, int]]] = {}
    for name in sorted(names):
        own = found.setdefault(name.replid, [])
        if own and name.start <= own[-1][1] + 1:
            own[-1] = (own[-1][0], max(own[-1][1], name.end))
        else:
            own.append((name.start, name.end))
    return found
