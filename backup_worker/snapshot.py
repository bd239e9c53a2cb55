"""Takes a snapshot: from a replica through compression and encryption into the store.

Everything streams; nothing is kept in memory or on a local disk. The manifest is written last,
so whatever ends a snapshot early leaves nothing that is listed.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import age
from backup_worker import manifest as manifests
from backup_worker.errors import BackupError, ClusterUnreachable, SnapshotCorrupt, SourceLost
from backup_worker.manifest import Content, Manifest, ReplicationPoint
from backup_worker.replication.link import Timeouts, snapshot_events
from backup_worker.replication.protocol import Event, FullResync, RdbChunk
from backup_worker.replication.rdb import Preamble, PreambleReader, TailReader
from backup_worker.replication.source import find_sources
from backup_worker.restore.progress import Progress, Report, ignore
from backup_worker.retention import discard
from backup_worker.store.contract import Store
from backup_worker.transform.compression import Compress
from backup_worker.transform.encryption import Encrypt
from backup_worker.transform.hashing import Measure
from backup_worker.transform.pipeline import transformed
from backup_worker.transform.signing import Signer
from redis_ha.connection import Address
from redis_ha.discovery import Access


@dataclass(frozen=True)
class Destination:
    """Where snapshots go, who can open them and who signs their manifests."""

    store: Store
    recipients: Sequence[age.Recipient]
    signer: Signer


@dataclass(frozen=True)
class Means:
    """What a snapshot takes from its surroundings; tests put their own in its place."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    nonce: Callable[[], bytes] = lambda: os.urandom(4)
    timeouts: Timeouts = field(default_factory=Timeouts)
    # Seconds before each new round over all replicas, once the last one lost its source.
    pauses: tuple[float, ...] = (1.0, 3.0, 9.0)


def take_snapshot(
    access: Access,
    destination: Destination,
    *,
    report: Report = ignore,
    means: Means | None = None,
) -> Manifest:
    """Take one snapshot and return its manifest; it is in the store, read back and compared.

    Replicas are tried in turn while they are lost on the way. Raises ClusterUnreachable,
    StoreUnreachable, StoreFull or SnapshotCorrupt; nothing of the attempt stays in the store
    unless the store refuses to delete (then `prune` removes it a day later).
    """
    means = means or Means()
    pauses = iter(means.pauses)
    tried: set[Address] = set()
    lost: SourceLost | None = None
    while True:
        # Asked anew each time: a failover may have made the next replica the master.
        source = next((found for found in _sources(access, lost) if found not in tried), None)
        if source is None:
            means.sleep(_next_pause(pauses, lost))
            tried.clear()
            continue
        try:
            return _Attempt(access, destination, source, means, report).run()
        except SourceLost as error:
            lost = error
            tried.add(source)


def _next_pause(pauses: Iterator[float], lost: SourceLost | None) -> float:
    pause = next(pauses, None)
    if pause is None and lost is not None:
        raise lost
    return pause or 0.0


def _sources(access: Access, lost: SourceLost | None) -> list[Address]:
    """Find the replicas to try; once one was lost, a failover under way is no reason to give up."""
    try:
        return find_sources(access)
    except ClusterUnreachable:
        if lost is None:
            raise
        return []


@dataclass(frozen=True)
class _Attempt:
    """One transfer from one replica."""

    access: Access
    destination: Destination
    source: Address
    means: Means
    report: Report

    def run(self) -> Manifest:
        """Transfer, read back, publish; on any failure remove what was written.

        A `put` that fails has left nothing, so there is nothing to remove before the first ends.
        """
        taken_at = self.means.clock()
        snapshot = manifests.new_id(taken_at, nonce=self.means.nonce())
        manifest = self._transfer(snapshot, taken_at)
        try:
            self._compare(manifest)
            self._publish(manifest)
        except BaseException:
            with suppress(BackupError):
                discard(self.destination.store, snapshot)
            raise
        return manifest

    def _publish(self, manifest: Manifest) -> None:
        envelope = self.destination.signer.sign(
            manifests.encode(manifest), payload_type=manifests.PAYLOAD_TYPE
        )
        key = manifests.manifest_key(manifest.id)
        self.destination.store.put(key, [envelope], if_absent=True)

    def _transfer(self, snapshot: str, taken_at: datetime) -> Manifest:
        began = self.means.monotonic()
        key = manifests.object_key(snapshot)
        rdb, stored = Measure(), Measure()
        events = snapshot_events(self.access, self.source, timeouts=self.means.timeouts)
        with closing(events):
            intake = Intake(events)
            sealed = transformed(
                self._reported(intake.chunks(), rdb),
                Compress(),
                Encrypt(self.destination.recipients),
                stored,
            )
            self.destination.store.put(key, sealed, if_absent=True)
        return Manifest(
            id=snapshot,
            taken_at=taken_at,
            engine=intake.preamble.engine,
            replication=intake.point,
            source=str(self.source),
            object_key=key,
            stored=Content(stored.size, stored.sha256),
            rdb=Content(rdb.size, rdb.sha256),
            recipients=tuple(map(str, self.destination.recipients)),
            seconds=round(self.means.monotonic() - began, 3),
        )

    def _reported(self, chunks: Iterator[bytes], measure: Measure) -> Iterator[bytes]:
        for chunk in transformed(chunks, measure):
            self.report(Progress("transfer", measure.size))
            yield chunk

    def _compare(self, manifest: Manifest) -> None:
        """Read the object back: what a manifest names was once read whole from the store."""
        measure = Measure()
        with closing(self.destination.store.get(manifest.object_key)) as chunks:
            for chunk in chunks:
                measure.update(chunk)
                self.report(Progress("verify", measure.size, manifest.stored.size))
        if Content(measure.size, measure.sha256) != manifest.stored:
            raise SnapshotCorrupt(
                operation="verify",
                subject=manifest.object_key,
                cause=f"the store returned {measure.size} other bytes than it was given"
                f" ({manifest.stored.size})",
                hint="check the store's disk and network; the snapshot was not published",
            )


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
