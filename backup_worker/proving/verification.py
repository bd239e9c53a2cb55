"""Checks what a store holds, object by object: nothing is taken on trust, nothing stops it early.

With identities an object is opened, and a snapshot loaded by a server; without, only signatures
and the hashes of the stored bytes are compared.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

import age
from backup_worker import manifest as manifests
from backup_worker.catalog import Catalog, Entry
from backup_worker.contents import source as contents_source
from backup_worker.errors import BackupError, ObjectNotFound, SnapshotCorrupt, WrongKey
from backup_worker.holdings import read_holdings
from backup_worker.log import segment as segments
from backup_worker.log.catalog import LogCatalog
from backup_worker.log.reading import opened_segment
from backup_worker.log.segment import Segment, SegmentName
from backup_worker.manifest import Content, Contents, Manifest
from backup_worker.progress import Progress, Report, ignore
from backup_worker.proving import completeness, drill
from backup_worker.proving import proof as proofs
from backup_worker.proving.drill import Drill, NoDrill, Proving
from backup_worker.proving.proof import By, Proof
from backup_worker.restore.opening import require_content, stored_rdb
from backup_worker.store.contract import read_small
from backup_worker.transform.hashing import Measure
from backup_worker.transform.signing import Signer, verify_exact


@dataclass(frozen=True)
class Problem:
    """An object that is not as it was written, and why."""

    key: str
    cause: str


@dataclass(frozen=True)
class Finding:
    """What came of one snapshot or one segment of the log.

    `name` is the snapshot's id or the segment's stem; `proof` is the new one; `note` says what
    could not be done although nothing is wrong.
    """

    name: str
    problems: tuple[Problem, ...] = ()
    proof: Proof | None = None
    note: str = ""

    @property
    def good(self) -> bool:
        return not self.problems


@dataclass
class _Notes:
    """What was found on the way through the objects of one snapshot or segment."""

    name: str
    problems: list[Problem] = field(default_factory=list)
    proof: Proof | None = None
    note: str = ""

    def attempt(self, key: str, check: Callable[[], None]) -> bool:
        """Check one object; what is wrong with it is noted. Say whether it is good."""
        try:
            check()
        except (SnapshotCorrupt, WrongKey) as error:
            self.problems.append(Problem(key, error.cause))
        except ObjectNotFound:
            self.problems.append(Problem(key, "it is missing"))
        else:
            return True
        return False

    def finding(self) -> Finding:
        return Finding(self.name, tuple(self.problems), self.proof, self.note)


@dataclass(frozen=True)
class Verifier:
    """Checks the objects of a catalogue's store.

    `identities` open them; without any nothing is opened. `proving` says where a snapshot is
    loaded, `signer` signs what comes of it; without either no proof is written. What is past its
    `retention` need not be complete.
    """

    catalog: Catalog
    identities: Sequence[age.Identity] = ()
    proving: Proving | None = None
    signer: Signer | None = None
    report: Report = ignore
    retention: timedelta | None = None

    def snapshot(self, entry: Entry) -> Finding:
        """Check a snapshot's manifest, data, contents and proof; prove it where that can be."""
        notes = _Notes(entry.id)
        found: list[Manifest] = []
        key = manifests.manifest_key(entry.id)
        notes.attempt(key, lambda: found.append(self._manifest(entry.id)))
        if not found:
            return notes.finding()
        (manifest,) = found
        databases: list[int] = []
        if (beside := manifest.contents) is not None:
            check = self._opened_contents if self.identities else self._hashed_contents
            notes.attempt(beside.object_key, lambda: databases.append(check(beside)))
        earlier = self._earlier(manifest, notes)
        if not self.identities:
            notes.attempt(
                manifest.object_key, lambda: self._hash(manifest.object_key, manifest.stored)
            )
            return notes.finding()
        largest = max(databases, default=0)
        notes.attempt(
            manifest.object_key, lambda: self._prove(manifest, notes, earlier, databases=largest)
        )
        return notes.finding()

    def segment(self, name: SegmentName) -> Finding:
        """Check a segment of the log: its manifest and its bytes."""
        notes = _Notes(name.stem)
        found: list[Segment] = []
        notes.attempt(name.manifest_key, lambda: found.append(self._segment(name)))
        if found:
            check = self._open_segment if self.identities else self._hash_segment
            notes.attempt(name.object_key, lambda: check(found[0]))
        return notes.finding()

    def everything(self) -> Iterator[Finding]:
        """Check all snapshots, newest first, then all of the log, then what both should hold.

        Raises StoreUnreachable.
        """
        for entry in self.catalog.list().entries:
            yield self.snapshot(entry)
        listing = LogCatalog(self.catalog.store, self.catalog.trusted).list()
        for index, name in enumerate(listing.names):
            self.report(Progress("log", index, len(listing.names)))
            yield self.segment(name)
        for key in listing.halves:
            if key.endswith(segments.MANIFEST_SUFFIX):
                stem = key.removesuffix(segments.MANIFEST_SUFFIX)
                yield Finding(stem, (Problem(stem + segments.OBJECT_SUFFIX, "it is missing"),))
        yield from self._incomplete()

    def _incomplete(self) -> Iterator[Finding]:
        """Say what is gone: the log's holes, and manifests that must have been there."""
        gone = completeness.find_gone(
            read_holdings(self.catalog),
            self._readable,
            now=self.catalog.wall(),
            window=self.retention,
        )
        for name, key in gone.manifests:
            yield Finding(name, (Problem(key, "it is missing"),))
        for hole in gone.holes:
            if hole.declared:
                yield Finding(hole.name, note=f"a gap that the worker told of: {hole.cause}")
            else:
                yield Finding(hole.name, (Problem(hole.name, hole.cause),))

    def _readable(self, name: SegmentName) -> Segment | None:
        with suppress(SnapshotCorrupt, ObjectNotFound):
            return self._segment(name)
        return None

    def _manifest(self, snapshot: str) -> Manifest:
        key = manifests.manifest_key(snapshot)
        manifest = manifests.decode(self._signed(key, manifests.PAYLOAD_TYPE), key=key)
        if manifest.id != snapshot:
            raise _wrong(key, f"it is that of {manifest.id}")
        return manifest

    def _segment(self, name: SegmentName) -> Segment:
        key = name.manifest_key
        return segments.decode(self._signed(key, segments.PAYLOAD_TYPE), key=key)

    def _earlier(self, manifest: Manifest, notes: _Notes) -> Proof | None:
        """Read the proof that is there; none at all is no fault."""
        key = manifests.proof_key(manifest.id)
        found: list[Proof] = []

        def read() -> None:
            try:
                proof = proofs.decode(self._signed(key, proofs.PAYLOAD_TYPE), key=key)
            except ObjectNotFound:
                return
            if problem := proofs.mismatch(proof, manifest):
                raise _wrong(key, problem)
            found.append(proof)

        notes.attempt(key, read)
        return next(iter(found), None)

    def _signed(self, key: str, payload_type: str) -> bytes:
        envelope = read_small(self.catalog.store, key)
        return verify_exact(envelope, self.catalog.trusted, payload_type=payload_type, subject=key)

    def _prove(
        self, manifest: Manifest, notes: _Notes, earlier: Proof | None, *, databases: int
    ) -> None:
        """Open the data and load it; where no server can run it is opened all the same."""
        try:
            proof = self._drill(manifest, earlier, databases=databases)
        except NoDrill as error:
            notes.note = f"not loaded: {error.cause}"
            for _ in self._rdb(manifest):
                pass
            return
        notes.proof = proof
        if self.signer is None:
            notes.note = "the proof was not kept: there is no signing key here"
        else:
            notes.note = self._kept(proof, self.signer)
        if not proof.proven:
            raise _wrong(manifest.object_key, proof.cause)

    def _kept(self, proof: Proof, signer: Signer) -> str:
        """Keep a proof; say why it could not be kept. The verdict is shown in any case."""
        try:
            drill.publish(proof, self.catalog.store, signer)
        except BackupError as error:
            return f"the proof was not kept: {error.cause}"
        return ""

    def _drill(self, manifest: Manifest, earlier: Proof | None, *, databases: int) -> Proof:
        if self.proving is None:
            raise drill.no_drill("it was not asked for")
        with drill.begin(self.proving) as under_way:
            proof = self._verdict(under_way, manifest, databases=databases)
        return drill.against(proof, earlier)

    def _verdict(self, under_way: Drill, manifest: Manifest, *, databases: int) -> Proof:
        began = monotonic()

        def seconds() -> float:
            return monotonic() - began

        try:
            under_way.receive(self._rdb(manifest), size=manifest.rdb.size)
        except SnapshotCorrupt as error:
            return under_way.fail(manifest, error.cause, by=By.VERIFY, seconds=seconds)
        return under_way.prove(
            manifest, by=By.VERIFY, seconds=seconds, databases=databases, report=self.report
        )

    def _rdb(self, manifest: Manifest) -> Iterator[bytes]:
        store = self.catalog.store
        yield from stored_rdb(store, manifest, self.identities, stage="verify", report=self.report)

    def _opened_contents(self, beside: Contents) -> int:
        """Read a contents document; return how many databases its nodes have."""
        return contents_source.read(self.catalog.store, beside, self.identities).databases

    def _hashed_contents(self, beside: Contents) -> int:
        self._hash(beside.object_key, beside.stored)
        return 0

    def _open_segment(self, segment: Segment) -> None:
        with closing(self.catalog.store.get(segment.name.object_key)) as stored:
            for _ in opened_segment(segment, stored, self.identities):
                pass

    def _hash_segment(self, segment: Segment) -> None:
        self._hash(segment.name.object_key, segment.stored)

    def _hash(self, key: str, expected: Content) -> None:
        measure = Measure()
        with closing(self.catalog.store.get(key)) as chunks:
            for chunk in chunks:
                measure.update(chunk)
                self.report(Progress("verify", measure.size, expected.size))
        require_content(measure, expected, subject=key, what="object")


def _wrong(key: str, cause: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(operation="verify", subject=key, cause=cause, hint="")
