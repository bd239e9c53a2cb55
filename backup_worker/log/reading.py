"""From a segment's object to its bytes: checked, streaming, in constant memory.

What is yielded counts as proven once the iteration ended without an error: the MACs, both ends,
sizes and SHA-256 are known only then. SnapshotCorrupt and WrongKey name the object.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, repeat

import age
from backup_worker.errors import ObjectNotFound, SnapshotCorrupt
from backup_worker.log.lineage import Piece
from backup_worker.log.segment import Segment, SegmentName
from backup_worker.restore.opening import opened_object
from backup_worker.store.contract import Store

# How many segments are fetched ahead. Of those whose object is larger than this only the
# manifest: the object would have to lie in memory, and its length hides the store's latency.
_AHEAD = 3
_SMALL = 2 * 1024 * 1024


@dataclass(frozen=True)
class SegmentReader:
    """Reads segments of `store` with any of the identities."""

    store: Store
    identities: Sequence[age.Identity]

    def whole(self, segment: Segment, *, stored: Iterable[bytes] | None = None) -> Iterator[bytes]:
        """Yield a segment's bytes; `stored` are those of its object, if they are here already."""
        if stored is not None:
            yield from self._opened(segment, stored)
            return
        with closing(self.store.get(segment.name.object_key)) as chunks:
            yield from self._opened(segment, chunks)

    def upto(self, segment: Segment, last: int) -> Iterator[bytes]:
        """Yield a segment's bytes from its start to offset `last`; all of it is checked."""
        return clipped(self.whole(segment), segment.start, segment.start, last)

    def pieces(
        self,
        pieces: Sequence[Piece],
        read: Callable[[SegmentName], Segment],
        *,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[bytes]:
        """Yield the bytes of pieces in order; `read` reads a segment's manifest.

        The next ones are fetched meanwhile. `on_progress` gets the bytes yielded so far.
        """
        done = 0
        for piece, segment, stored in self._fetched_ahead(pieces, read):
            content = self.whole(segment, stored=stored)
            for chunk in clipped(content, segment.start, piece.first, piece.last):
                done += len(chunk)
                yield chunk
            on_progress(done)

    def _fetched_ahead(
        self, pieces: Sequence[Piece], read: Callable[[SegmentName], Segment]
    ) -> Iterator[tuple[Piece, Segment, list[bytes] | None]]:
        def fetch(piece: Piece) -> tuple[Segment, list[bytes] | None]:
            segment = read(piece.name)
            return segment, self._fetched(segment) if segment.stored.size <= _SMALL else None

        with ThreadPoolExecutor(_AHEAD) as pool:
            ahead = deque((piece, pool.submit(fetch, piece)) for piece in pieces[:_AHEAD])
            for upcoming in chain(pieces[_AHEAD:], repeat(None)):
                if not ahead:
                    return
                piece, fetched = ahead.popleft()
                segment, stored = fetched.result()
                if upcoming is not None:
                    ahead.append((upcoming, pool.submit(fetch, upcoming)))
                yield piece, segment, stored

    def _fetched(self, segment: Segment) -> list[bytes]:
        """Return an object's chunks; no more than a whole one has, and what shows it is longer."""
        chunks, size = [], 0
        try:
            with closing(self.store.get(segment.name.object_key)) as stored:
                for chunk in stored:
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > segment.stored.size:
                        break
        except ObjectNotFound as error:
            raise _gone(segment) from error
        return chunks

    def _opened(self, segment: Segment, stored: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from opened_segment(segment, stored, self.identities)
        except ObjectNotFound as error:
            raise _gone(segment) from error


def opened_segment(
    segment: Segment, stored: Iterable[bytes], identities: Sequence[age.Identity]
) -> Iterator[bytes]:
    """Yield a segment's bytes, checked as `opened_object` does."""
    return opened_object(
        stored,
        identities,
        key=segment.name.object_key,
        expected=(segment.stored, segment.plain),
        what="log",
        on_progress=lambda _: None,
    )


def clipped(chunks: Iterable[bytes], start: int, first: int, last: int) -> Iterator[bytes]:
    """Yield the bytes `first` to `last` of a stream that begins at offset `start`; read all."""
    position = start
    for chunk in chunks:
        end = position + len(chunk)
        if first <= position and end <= last + 1:
            yield chunk
        elif wanted := chunk[max(first - position, 0) : max(last + 1 - position, 0)]:
            yield wanted
        position = end


def _gone(segment: Segment) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        operation="read",
        subject=segment.name.object_key,
        cause="it is gone",
        hint="restore to a point before it, or from a snapshot after it",
    )
