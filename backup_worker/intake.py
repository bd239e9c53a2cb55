"""What comes over a replication link, taken in as one whole RDB that agrees with its server."""

from collections.abc import Iterator

from backup_worker.errors import SnapshotCorrupt
from backup_worker.manifest import ReplicationPoint
from backup_worker.replication.protocol import Event, FullResync, RdbChunk
from backup_worker.replication.rdb import Preamble, PreambleReader, TailReader


class Intake:
    """Hands on the RDB of a replication link and checks it on the way."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self._head = PreambleReader()
        self._tail = TailReader()
        self._preamble: Preamble | None = None
        self._resync: FullResync | None = None

    @property
    def preamble(self) -> Preamble:
        """What the RDB says of itself; known once its first bytes passed."""
        if self._preamble is None:
            raise _not_ours("its preamble never ended")
        return self._preamble

    @property
    def point(self) -> ReplicationPoint:
        """Where the snapshot stands; raises SnapshotCorrupt when server and RDB disagree."""
        if self._resync is None:
            raise _not_ours("the server announced no offset")
        preamble, resync = self.preamble, self._resync
        inside = (preamble.fields.get("repl-id"), preamble.number("repl-offset"))
        if inside != (resync.replid, resync.offset):
            raise _not_ours(
                f"it stands at {inside[0]}:{inside[1]}, the server announced"
                f" {resync.replid}:{resync.offset}"
            )
        return ReplicationPoint(resync.replid, resync.offset, preamble.number("repl-stream-db"))

    def chunks(self) -> Iterator[bytes]:
        """Yield the RDB's bytes; ends without an error only if they are one whole RDB."""
        for event in self._events:
            if isinstance(event, FullResync):
                self._resync = event
            elif isinstance(event, RdbChunk):
                self._preamble = self._preamble or self._head.feed(event.data)
                self._tail.feed(event.data)
                yield event.data
        self._tail.check()
        _ = self.point


def _not_ours(cause: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        operation="read",
        subject="RDB stream",
        cause=cause,
        hint="take another snapshot; if it fails again, see the source's log",
    )
