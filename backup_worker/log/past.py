"""What a store holds at one moment: snapshots, and segments by the history they are of. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from backup_worker.log.lineage import Forest, Line, Piece, line, owned
from backup_worker.log.segment import Mark, SegmentName, last_of_each
from backup_worker.manifest import Manifest

Marks = Mapping[SegmentName, Sequence[Mark]]


class Past:
    """Snapshots, segments by owner, and the marks of those segments whose manifests were read."""

    def __init__(
        self,
        snapshots: Sequence[Manifest],
        segments: Sequence[SegmentName],
        forest: Forest,
        marks: Marks,
    ) -> None:
        self.snapshots = snapshots
        self.segments = segments
        self.forest = forest
        self.marks = marks
        self._lines: dict[str, Line] = {}

    @cached_property
    def pieces(self) -> dict[str, list[Piece]]:
        """What there is of each owner."""
        return owned(self.segments, self.forest)

    def line(self, replid: str) -> Line:
        """Return the history that ends in a timeline."""
        if replid not in self._lines:
            self._lines[replid] = line(replid, self.forest, self.pieces)
        return self._lines[replid]

    def bases(self, whole: Line) -> Iterator[Manifest]:
        """Yield the snapshots that a line passes."""
        for snapshot in self.snapshots:
            point = snapshot.replication
            if whole.holds(self.forest.owner(point.replid, point.offset), point.offset):
                yield snapshot

    def newest_timeline(self) -> str | None:
        """Name the timeline that was last written, without a log the last snapshot's."""
        if self.segments:
            ends = last_of_each(self.segments)
            return max(ends, key=lambda name: (name.last_ms, name.end)).replid
        newest = max(self.snapshots, key=lambda one: (one.taken_at, one.id), default=None)
        return newest.replication.replid if newest else None
