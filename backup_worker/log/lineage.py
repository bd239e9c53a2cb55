"""Timelines as a forest: which bytes two of them share, and what a store holds of each. Pure.

A byte's owner is the oldest timeline that has it: up to and including `fork` a timeline's bytes
are its parent's. So a segment may hold bytes of several owners, and several segments the same.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from backup_worker.log.segment import SegmentName, Timeline


@dataclass(frozen=True)
class Piece:
    """The bytes `first` to `last` (both included) of a segment."""

    name: SegmentName
    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Reach:
    """What a line has of one owner: the bytes after `after`, up to `upto` (None: all)."""

    owner: str
    after: int
    upto: int | None

    def clip(self, first: int, last: int) -> tuple[int, int]:
        """Cut a range of bytes to those of this owner; empty where first > last."""
        return max(first, self.after + 1), last if self.upto is None else min(last, self.upto)


@dataclass(frozen=True)
class Forest:
    """Timelines by replication id; one that isn't named has no known parent."""

    timelines: Mapping[str, Timeline]

    def parent(self, replid: str) -> tuple[str, int] | None:
        """Return (parent, fork), None for a root."""
        timeline = self.timelines.get(replid)
        if timeline is None or timeline.parent is None or timeline.fork is None:
            return None
        return timeline.parent, timeline.fork

    def path(self, replid: str) -> tuple[Reach, ...]:
        """Return the line that ends in a timeline, its root first."""
        reaches: list[Reach] = []
        upto: int | None = None
        seen: set[str] = set()
        while True:
            seen.add(replid)
            above = self.parent(replid)
            if above is None or above[0] in seen:
                reaches.append(Reach(replid, -1, upto))
                return tuple(reversed(reaches))
            if upto is None or upto > above[1]:
                reaches.append(Reach(replid, above[1], upto))
                upto = above[1]
            replid = above[0]

    def owner(self, replid: str, offset: int) -> str:
        """Name the oldest timeline that has byte `offset` of `replid`."""
        path = self.path(replid)
        return next(one.owner for one in path if one.upto is None or offset <= one.upto)


def owned(names: Iterable[SegmentName], forest: Forest) -> dict[str, list[Piece]]:
    """File each segment's bytes under their owners; for each the pieces that cover most.

    The pieces of one owner ascend and do not overlap; between two there may be a gap.
    """
    paths: dict[str, tuple[Reach, ...]] = {}
    found: dict[str, list[Piece]] = {}
    for name in names:
        if name.replid not in paths:
            paths[name.replid] = forest.path(name.replid)
        for reach in paths[name.replid]:
            first, last = reach.clip(name.start, name.end)
            if first <= last:
                found.setdefault(reach.owner, []).append(Piece(name, first, last))
    return {owner: list(_covering(pieces)) for owner, pieces in found.items()}


def _covering(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Choose pieces so that all bytes that any has are there once, with few joints."""
    ordered = sorted(pieces, key=lambda one: (one.first, one.name))
    position, index, best = -1, 0, None
    while True:
        while index < len(ordered) and ordered[index].first <= position + 1:
            if best is None or ordered[index].last > best.last:
                best = ordered[index]
            index += 1
        if best is not None and best.last > position:
            yield replace(best, first=max(best.first, position + 1))
            position = best.last
        elif index < len(ordered):
            position = ordered[index].first - 1
        else:
            return


@dataclass(frozen=True)
class Line:
    """One history from its root to the end of a timeline: its reaches and the pieces there are."""

    replid: str
    path: tuple[Reach, ...]
    pieces: tuple[Piece, ...]

    def holds(self, owner: str, offset: int) -> bool:
        """Say whether the line passes that position."""
        return any(
            one.owner == owner and (one.upto is None or offset <= one.upto) for one in self.path
        )

    def between(self, after: int, upto: int) -> tuple[Piece, ...] | None:
        """Return the pieces with the bytes after `after` up to `upto`; None if some are missing."""
        start = max(bisect_right(self.pieces, after + 1, key=lambda one: one.first) - 1, 0)
        chosen: list[Piece] = []
        position = after
        for piece in self.pieces[start:]:
            if position >= upto or piece.first > position + 1:
                break
            if piece.last > position:
                chosen.append(replace(piece, first=position + 1, last=min(piece.last, upto)))
                position = chosen[-1].last
        return tuple(chosen) if position >= upto else None

    def runs(self) -> list[tuple[Piece, ...]]:
        """Return the pieces, parted where bytes are missing."""
        return split(self.pieces)


def line(replid: str, forest: Forest, pieces: Mapping[str, Sequence[Piece]]) -> Line:
    """Make the line that ends in a timeline, of the pieces by owner."""
    path = forest.path(replid)
    chosen: list[Piece] = []
    for reach in path:
        for piece in pieces.get(reach.owner, ()):
            first, last = reach.clip(piece.first, piece.last)
            if first > last:
                continue
            if chosen and chosen[-1].name == piece.name and chosen[-1].last + 1 == first:
                chosen[-1] = replace(chosen[-1], last=last)
            else:
                chosen.append(replace(piece, first=first, last=last))
    return Line(replid, path, tuple(chosen))


def split(pieces: Sequence[Piece]) -> list[tuple[Piece, ...]]:
    """Part ascending pieces where bytes are missing between two."""
    if not pieces:
        return []
    cuts = [
        index
        for index, (one, other) in enumerate(pairwise(pieces), 1)
        if other.first > one.last + 1
    ]
    return [tuple(pieces[i:j]) for i, j in pairwise([0, *cuts, len(pieces)])]
