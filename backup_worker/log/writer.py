"""Cuts the received stream into segments and writes them, encrypted, into the spool.

A segment ends between two commands and outside a transaction. What follows the last such place
in a received piece is held back, so that a segment can end there at any time later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import age
from backup_worker.log import segment as segments
from backup_worker.log.boundary import Boundary, BoundaryWalker
from backup_worker.log.segment import Mark, Segment
from backup_worker.log.spool import Spool
from backup_worker.log.timeline import Position
from backup_worker.manifest import Content
from backup_worker.transform.compression import Compress
from backup_worker.transform.encryption import Encrypt
from backup_worker.transform.hashing import Measure
from backup_worker.transform.pipeline import chain
from backup_worker.transform.signing import Signer

# A stretch of nothing but signs of life may stay open so long (s): it holds no data.
QUIET_SECONDS = 60.0
# What sealing and the transfer to the store may take (s).
_SHIPPING_SECONDS = 0.2
# Of a segment's marks, each so many milliseconds after the one before, at least.
_MARK_MS = 50
# A manifest stays readable (1 MiB) with so many marks; a segment that lasts longer thins them.
_MOST_MARKS = 4096
# How far (ms) a clock that is kept right may be set back.
_LEVELLED_MS = 60_000


@dataclass(frozen=True)
class Sealing:
    """Who can open the segments, who signs them, the lease's term now, and when they end.

    A segment ends so early that it can be in the store `seconds` after its first byte came, or
    once it holds `size` bytes of the stream.
    """

    recipients: Sequence[age.Recipient]
    signer: Signer
    term: Callable[[], int]
    seconds: float
    size: int

    def sign(self, segment: Segment) -> bytes:
        """Return a segment's manifest as it is stored."""
        return self.signer.sign(segments.encode(segment), payload_type=segments.PAYLOAD_TYPE)

    def due(self, *, size: int, age: float, quiet: bool) -> bool:
        """Say whether a segment of so many bytes, opened so long (s) ago, is to end."""
        patience = self.patience
        return size >= self.size or age >= (max(patience, QUIET_SECONDS) if quiet else patience)

    @property
    def patience(self) -> float:
        """How old (s) a segment with data becomes."""
        return max(0.9 * self.seconds - _SHIPPING_SECONDS, 0.5 * self.seconds)


class LogWriter:
    """Takes the stream of one link from `position` on; segments come out in the spool.

    Raises ProtocolError when the bytes are no command stream, SpoolFull, StoreFull, BackupError;
    then, as at the link's end, `close` keeps what is whole. `silent_since` is when (s, steady) the
    link before this one was lost: what comes first has been waiting since then.
    """

    def __init__(
        self,
        spool: Spool,
        sealing: Sealing,
        position: Position,
        *,
        source: str,
        silent_since: float | None = None,
    ) -> None:
        self._spool = spool
        self._sealing = sealing
        self._source = source
        self._silent_since = silent_since
        self._position = position
        self._walker = BoundaryWalker(Boundary(position.offset, position.db))
        self._held = b""
        self._segment: _Open | None = None
        self.received = position.offset

    @property
    def since(self) -> float | None:
        """When (s, steady) the open segment's first byte came; None while it holds no data."""
        segment = self._segment
        return None if segment is None or segment.quiet else segment.began

    @property
    def position(self) -> Position:
        """The end of the last sealed segment: what is kept whatever happens."""
        return self._position

    def feed(self, data: bytes, *, now: float, wall_ms: int) -> None:
        """Take the next piece, which arrived at `now` (s, steady); seals what is due before it."""
        self.seal_if_due(now)
        self._spool.require_room()
        self.received += len(data)
        before = self._walker.boundary.offset
        quiet = self._walker.feed(data)
        boundary = self._walker.boundary
        pending, self._held = self._held + data, b""
        if boundary.offset > before:
            cut = len(pending) - (self.received - boundary.offset)
            pending, self._held = pending[:cut], pending[cut:]
        segment = self._opened(now)
        segment.write(pending, quiet=quiet)
        if boundary.offset > before:
            segment.mark(boundary, wall_ms)
        self.seal_if_due(now)

    def seal_if_due(self, now: float) -> None:
        """Seal the open segment if it can end now and is large or old enough."""
        segment = self._segment
        if segment is None or segment.end is None:
            return
        if self._sealing.due(size=segment.size, age=now - segment.began, quiet=segment.quiet):
            self._seal(segment)

    def close(self) -> None:
        """Seal what is whole, drop the rest: the stream goes on at `position`."""
        segment, self._held = self._segment, b""
        if segment is None:
            return
        if segment.end is not None:
            self._seal(segment)
        else:
            self.abandon()

    def abandon(self) -> None:
        """Drop the open segment."""
        if self._segment is not None:
            self._segment.discard()
            self._segment = None

    def _opened(self, now: float) -> "_Open":
        if self._segment is None:
            start, began, self._silent_since = self._position, self._began(now), None
            self._segment = _Open(self._spool, self._sealing, start, began=began)
        return self._segment

    def _began(self, now: float) -> float:
        """Return since when the first byte waits; half the patience is left to catch up."""
        lost = now if self._silent_since is None else self._silent_since
        return max(lost, now - self._sealing.patience / 2)

    def _seal(self, segment: "_Open") -> None:
        described = segment.finish(self._sealing, source=self._source)
        envelope = self._sealing.sign(described)
        self._spool.seal(segment.file, described, envelope, since=segment.began)
        last = described.marks[-1]
        self._segment = None
        self._position = replace(
            self._position, offset=last.offset, db=segment.db, time_ms=last.time_ms
        )


def dated(wall_ms: int, last_ms: int) -> int:
    """Return a mark's time: the wall clock's, but a small step back is levelled.

    A large one is believed: the clock had leapt ahead, and all marks would stay there with it.
    """
    return wall_ms if last_ms - wall_ms > _LEVELLED_MS else max(wall_ms, last_ms)


class _Open:
    """The segment that is being written."""

    def __init__(self, spool: Spool, sealing: Sealing, start: Position, *, began: float) -> None:
        self.began = began
        self.quiet = True
        self.db = start.db
        self.file = spool.create()
        self._start = start
        self._plain, self._stored = Measure(), Measure()
        self._sealed = chain(Compress(), Encrypt(sealing.recipients), self._stored)
        self._marks: list[Mark] = []
        self._spacing = _MARK_MS
        self._last = Mark(start.offset, start.time_ms)

    @property
    def size(self) -> int:
        """Bytes of the stream that it holds."""
        return self._plain.size

    @property
    def end(self) -> int | None:
        """Where it may end; None while what was written last is half a command."""
        written = self._start.offset + self._plain.size
        return written if written == self._last.offset > self._start.offset else None

    def write(self, data: bytes, *, quiet: bool) -> None:
        """Append; `quiet` where the piece was nothing but signs of life."""
        self.quiet = self.quiet and quiet
        if out := self._sealed.update(self._plain.update(data)):
            self.file.write(out)

    def mark(self, boundary: Boundary, wall_ms: int) -> None:
        """Note that a boundary was reached, at a time as `dated` gives it."""
        self.db = boundary.db
        self._last = Mark(boundary.offset, dated(wall_ms, self._last.time_ms))
        apart = abs(self._last.time_ms - self._marks[-1].time_ms) if self._marks else self._spacing
        if apart >= self._spacing:
            self._marks.append(self._last)
        if len(self._marks) >= _MOST_MARKS:
            self._marks = self._marks[::2]
            self._spacing *= 2

    def finish(self, sealing: Sealing, *, source: str) -> Segment:
        """Write the end of the object and describe it."""
        self.file.write(self._sealed.finish())
        marks = [mark for mark in self._marks if mark.offset < self._last.offset]
        return Segment(
            timeline=self._start.timeline,
            start=self._start.offset + 1,
            end=self._last.offset,
            db=self._start.db,
            marks=(*marks, self._last),
            stored=Content(self._stored.size, self._stored.sha256),
            plain=Content(self._plain.size, self._plain.sha256),
            recipients=tuple(map(str, sealing.recipients)),
            source=source,
            term=sealing.term(),
        )

    def discard(self) -> None:
        """Remove its file."""
        self.file.discard()
