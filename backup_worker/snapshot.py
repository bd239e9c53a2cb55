"""Takes a snapshot: from a replica through compression and encryption into the store, and back.

Everything streams; nothing is kept in memory, and nothing on a local disk but what a drill loads.
The manifest is written once the object was read back whole, so whatever ends a snapshot early
leaves nothing that is listed. The proof, if one is made, comes after it.
"""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import age
from backup_worker import manifest as manifests
from backup_worker.contents import document as contents
from backup_worker.contents import source as contents_source
from backup_worker.contents.document import Document
from backup_worker.errors import (
    BackupError,
    ClusterUnreachable,
    SnapshotCorrupt,
    SourceLost,
    WrongKey,
)
from backup_worker.intake import Intake
from backup_worker.manifest import Content, Contents, Kind, Manifest
from backup_worker.progress import Progress, Report, ignore
from backup_worker.proving.drill import Proving, publish
from backup_worker.proving.proof import By, Proof
from backup_worker.proving.trial import Trial
from backup_worker.pruning import discard
from backup_worker.replication.link import Timeouts, snapshot_events
from backup_worker.replication.source import find_sources
from backup_worker.restore.opening import opened
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


@dataclass(frozen=True)
class Taken:
    """A snapshot in the store; without a proof `unproven` says why, empty when none was wanted."""

    manifest: Manifest
    proof: Proof | None = None
    unproven: str = ""


@dataclass(frozen=True)
class Order:
    """What snapshot is wanted: why, under which lease's term, and how it is proven, if at all."""

    kind: Kind = Kind.MANUAL
    term: int = 0
    proving: Proving | None = None


def take_snapshot(
    access: Access,
    destination: Destination,
    *,
    kind: Kind = Kind.MANUAL,
    term: int = 0,
    proving: Proving | None = None,
    report: Report = ignore,
    means: Means | None = None,
) -> Taken:
    """Take one snapshot; it is in the store, read back and compared, and with `proving` loaded.

    Replicas are tried in turn while they are lost on the way. Raises ClusterUnreachable,
    StoreUnreachable, StoreFull or SnapshotCorrupt; nothing of the attempt stays in the store
    unless the store refuses to delete (then `prune` removes it a day later). A drill that can't
    be made is no failure; one that fails is a proof that says so.
    """
    means, order = means or Means(), Order(kind, term, proving)
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
            return _Attempt(access, destination, source, order, means, report).run()
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
    order: Order
    means: Means
    report: Report

    def run(self) -> Taken:
        """Transfer, read back, publish, prove; a failure before it is published leaves nothing.

        A `put` that fails has left nothing, so there is nothing to remove before the first ends.
        """
        taken_at = self.means.clock()
        snapshot = manifests.new_id(taken_at, nonce=self.means.nonce())
        with ExitStack() as stack:
            trial = Trial.begin(self.order.proving, stack)
            recipients = (*self.destination.recipients, *trial.recipients)
            manifest = self._transfer(snapshot, taken_at, recipients)
            try:
                document = contents_source.gather(self.access, now=taken_at)
                manifest = self._with_contents(manifest, document, recipients)
                began = self.means.monotonic()
                self._read_back(manifest, trial)
                self._publish(manifest)
            except BaseException:
                with suppress(BackupError):
                    discard(self.destination.store, snapshot)
                raise
            return self._prove(manifest, document, trial, began)

    def _publish(self, manifest: Manifest) -> None:
        envelope = self.destination.signer.sign(
            manifests.encode(manifest), payload_type=manifests.PAYLOAD_TYPE
        )
        key = manifests.manifest_key(manifest.id)
        self.destination.store.put(key, [envelope], if_absent=True)

    def _transfer(
        self, snapshot: str, taken_at: datetime, recipients: Sequence[age.Recipient]
    ) -> Manifest:
        began = self.means.monotonic()
        key = manifests.object_key(snapshot)
        events = snapshot_events(self.access, self.source, timeouts=self.means.timeouts)
        with closing(events):
            intake = Intake(events)
            rdb, stored = self._put(key, intake.chunks(), recipients, phase="transfer")
        return Manifest(
            id=snapshot,
            taken_at=taken_at,
            engine=intake.preamble.engine,
            replication=intake.point,
            source=str(self.source),
            object_key=key,
            stored=stored,
            rdb=rdb,
            recipients=tuple(map(str, recipients)),
            seconds=round(self.means.monotonic() - began, 3),
            kind=self.order.kind,
            term=self.order.term,
        )

    def _with_contents(
        self, manifest: Manifest, document: Document, recipients: Sequence[age.Recipient]
    ) -> Manifest:
        key = manifests.contents_key(manifest.id)
        plain, stored = self._put(key, [contents.encode(document)], recipients, phase="contents")
        return replace(manifest, contents=Contents(key, stored, plain))

    def _put(
        self,
        key: str,
        chunks: Iterable[bytes],
        recipients: Sequence[age.Recipient],
        *,
        phase: str,
    ) -> tuple[Content, Content]:
        """Store an object compressed and encrypted; say what it was plain and what is stored."""
        plain, stored = Measure(), Measure()
        counted = self._reported(transformed(chunks, plain), plain, phase)
        sealed = transformed(counted, Compress(), Encrypt(recipients), stored)
        self.destination.store.put(key, sealed, if_absent=True)
        return Content(plain.size, plain.sha256), Content(stored.size, stored.sha256)

    def _reported(self, chunks: Iterable[bytes], measure: Measure, phase: str) -> Iterator[bytes]:
        for chunk in chunks:
            self.report(Progress(phase, measure.size))
            yield chunk

    def _read_back(self, manifest: Manifest, trial: Trial) -> None:
        """Read all objects back: what a manifest names was once read whole from the store.

        For a drill the RDB is opened and written down in the same pass.
        """
        try:
            if not trial.receive(lambda key: self._opened(manifest, key), size=manifest.rdb.size):
                self._compare(manifest.object_key, manifest.stored)
            if manifest.contents is not None:
                contents_key, stored = manifest.contents.object_key, manifest.contents.stored
                self._compare(contents_key, stored, phase="contents")
        except (SnapshotCorrupt, WrongKey) as error:
            raise SnapshotCorrupt(
                operation="verify",
                subject=error.subject,
                cause=f"the store did not return what it was given: {error.cause}",
                hint="check the store's disk and network; the snapshot was not published",
            ) from error

    def _opened(self, manifest: Manifest, identity: age.Identity) -> Generator[bytes, None, None]:
        size = manifest.stored.size
        with closing(self.destination.store.get(manifest.object_key)) as stored:
            yield from opened(
                stored,
                manifest,
                (identity,),
                on_progress=lambda done: self.report(Progress("verify", done, size)),
            )

    def _compare(self, key: str, expected: Content, *, phase: str = "verify") -> None:
        measure = Measure()
        with closing(self.destination.store.get(key)) as chunks:
            for chunk in chunks:
                measure.update(chunk)
                self.report(Progress(phase, measure.size, expected.size))
        if Content(measure.size, measure.sha256) != expected:
            raise SnapshotCorrupt(
                operation="verify",
                subject=key,
                cause=f"{measure.size} other bytes than those {expected.size}",
                hint="",
            )

    def _prove(self, manifest: Manifest, document: Document, trial: Trial, began: float) -> Taken:
        """Load what was read back; the snapshot is in the store whatever comes of it."""
        proof = trial.prove(
            manifest,
            by=By.DRILL,
            seconds=lambda: self.means.monotonic() - began,
            databases=document.databases,
            report=self.report,
        )
        if proof is None:
            return Taken(manifest, unproven=trial.problem)
        try:
            publish(proof, self.destination.store, self.destination.signer)
        except BackupError as error:
            return Taken(manifest, unproven=f"the proof could not be written: {error.cause}")
        return Taken(manifest, proof)
