"""Which snapshots a store holds: every signed manifest, and every one that can't be trusted."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from backup_worker import manifest as manifests
from backup_worker.errors import ObjectNotFound, SnapshotCorrupt, SnapshotNotFound
from backup_worker.manifest import Kind, Manifest
from backup_worker.proving import proof as proofs
from backup_worker.proving.proof import Proof
from backup_worker.store.contract import Store, StoredObject, read_small
from backup_worker.transform.signing import verify

LATEST = "latest"
# As much as AWS lets the clocks of its clients be off by.
TOLERANCE = timedelta(minutes=15)
_AHEAD = "dated in the future, by a clock that was wrong: `latest` does not mean it"
_READERS = 8
_NAMED_CANDIDATES = 5


@dataclass(frozen=True)
class Entry:
    """One snapshot as the store shows it; without a manifest it is bad, and `problem` says why.

    `size` is the stored object's, in bytes; -1 when the object is missing. `proof` is the one that
    counts: signed, and of these bytes. `note` names what is wrong beside the data: a proof that
    does not count, contents that are missing. `ahead`: it is dated in the future, so nobody knows
    how old it is. `published`: without a manifest, but with a proof, which follows the manifest.
    """

    id: str
    taken_at: datetime
    size: int
    manifest: Manifest | None = None
    problem: str = ""
    proof: Proof | None = None
    note: str = ""
    ahead: bool = False
    published: bool = False

    @property
    def good(self) -> bool:
        return self.manifest is not None

    @property
    def proven(self) -> bool:
        return self.good and self.proof is not None and self.proof.proven

    @property
    def failed(self) -> bool:
        """Say whether a proof tells that it can't be used."""
        return self.good and self.proof is not None and not self.proof.proven

    @property
    def state(self) -> str:
        """One of bad, failed, proven, not proven."""
        if not self.good:
            return "bad"
        if self.failed:
            return "failed"
        return "proven" if self.proven else "not proven"

    @property
    def restorable(self) -> bool:
        """Say whether `latest` may mean it: it never means what a restore was to get rid of."""
        if self.manifest is None or self.failed or self.ahead:
            return False
        return self.manifest.kind != Kind.SAFETY


@dataclass(frozen=True)
class Parts:
    """What lies under one snapshot's prefix: sizes in bytes, -1 for what is missing."""

    size: int = -1
    contents: int = -1
    manifest: bool = False
    proof: bool = False


@dataclass(frozen=True)
class Listing:
    """All that lies under snapshots/: entries and objects without manifest, newest first."""

    entries: tuple[Entry, ...]
    orphans: tuple[Entry, ...]

    @property
    def latest(self) -> Entry | None:
        """The newest entry that `latest` may mean."""
        return next((entry for entry in self.entries if entry.restorable), None)


@dataclass(frozen=True)
class Catalog:
    """Reads snapshots from `store`; `trusted` are raw Ed25519 public keys of 32 bytes."""

    store: Store
    trusted: tuple[bytes, ...]
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)

    def objects(self) -> frozenset[StoredObject]:
        """Name what lies under snapshots/ and read none of it; raises StoreUnreachable."""
        return frozenset(self.store.list(manifests.SNAPSHOTS))

    def list(self) -> Listing:
        """Read all manifests. A bad one is an entry with its reason; raises StoreUnreachable."""
        parts = parts_by_snapshot(self.store.list(manifests.SNAPSHOTS))
        named = [key for key, found in parts.items() if found.manifest]
        with ThreadPoolExecutor(_READERS) as pool:
            entries = pool.map(lambda key: self._entry(key, parts[key]), named)
            found = newest_first(entries)
        orphans = [
            Entry(
                key,
                moment_of(key),
                present.size,
                problem="no manifest",
                published=present.proof,
            )
            for key, present in parts.items()
            if not present.manifest
        ]
        return Listing(tuple(found), tuple(newest_first(orphans)))

    def find(self, name: str) -> Manifest:
        """Return the manifest of what `name` names; see `choose`."""
        return require_manifest(self.find_entry(name))

    def find_entry(self, name: str) -> Entry:
        """Return the entry that `name` names, be it bad; raises SnapshotNotFound."""
        return choose_entry(self.list().entries, name)

    def _entry(self, snapshot: str, parts: Parts) -> Entry:
        key = manifests.manifest_key(snapshot)
        try:
            found = manifests.decode(self._signed(key, manifests.PAYLOAD_TYPE), key=key)
        except (SnapshotCorrupt, ObjectNotFound) as error:
            return Entry(snapshot, moment_of(snapshot), parts.size, problem=error.cause)
        if problem := mismatch(found, snapshot, parts.size):
            return Entry(snapshot, moment_of(snapshot), parts.size, problem=problem)
        proof, note = self._proof(found) if parts.proof else (None, "")
        ahead = found.taken_at > self.wall() + TOLERANCE
        notes = (_AHEAD * ahead, note or contents_note(found, parts.contents))
        note = "; ".join(filter(None, notes))
        return Entry(snapshot, found.taken_at, parts.size, found, "", proof, note, ahead)

    def _proof(self, manifest: Manifest) -> tuple[Proof | None, str]:
        """Read a snapshot's proof, or say why it does not count."""
        key = manifests.proof_key(manifest.id)
        try:
            proof = proofs.decode(self._signed(key, proofs.PAYLOAD_TYPE), key=key)
        except (SnapshotCorrupt, ObjectNotFound) as error:
            return None, f"its proof does not count: {error.cause}"
        if problem := proofs.mismatch(proof, manifest):
            return None, f"its proof does not count: {problem}"
        return proof, ""

    def _signed(self, key: str, payload_type: str) -> bytes:
        envelope = read_small(self.store, key)
        return verify(envelope, self.trusted, payload_type=payload_type, subject=key)


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """Sort by time, equal times by id."""
    return sorted(entries, key=lambda entry: (entry.taken_at, entry.id), reverse=True)


def choose(entries: Sequence[Entry], name: str) -> Manifest:
    """Return the manifest that `latest`, an id, or the unique beginning of one names.

    Entries are newest first. Raises SnapshotNotFound with candidates, SnapshotCorrupt when that
    snapshot is bad.
    """
    return require_manifest(choose_entry(entries, name))


def choose_entry(entries: Sequence[Entry], name: str) -> Entry:
    """Find a snapshot's entry by name as `choose` does, be it bad."""
    if name == LATEST:
        wanted = [entry for entry in entries if entry.restorable][:1]
    else:
        wanted = [entry for entry in entries if name and entry.id.startswith(name)]
    if len(wanted) != 1:
        raise _not_found(entries, wanted, name)
    return wanted[0]


def parts_by_snapshot(objects: Iterable[StoredObject]) -> dict[str, Parts]:
    """Say for each snapshot id what is there of it.

    Keys that are not of this format are none of ours and left out.
    """
    found: dict[str, Parts] = {}
    for stored in objects:
        snapshot = stored.key.removeprefix(manifests.SNAPSHOTS).partition("/")[0]
        if not manifests.ID_PATTERN.fullmatch(snapshot):
            continue
        parts = found.get(snapshot, Parts())
        if stored.key == manifests.manifest_key(snapshot):
            found[snapshot] = replace(parts, manifest=True)
        elif stored.key == manifests.object_key(snapshot):
            found[snapshot] = replace(parts, size=stored.size)
        elif stored.key == manifests.contents_key(snapshot):
            found[snapshot] = replace(parts, contents=stored.size)
        elif stored.key == manifests.proof_key(snapshot):
            found[snapshot] = replace(parts, proof=True)
    return found


def mismatch(manifest: Manifest, snapshot: str, size: int) -> str:
    """Say what is wrong between a manifest and the object beside it; empty when nothing is."""
    if manifest.id != snapshot:
        return f"its manifest is that of {manifest.id}"
    if size < 0:
        return "its object is missing"
    if size != manifest.stored.size:
        return f"its object has {size} bytes, the manifest says {manifest.stored.size}"
    return ""


def contents_note(manifest: Manifest, size: int) -> str:
    """Say what is wrong with the contents beside the data; empty when nothing is."""
    contents = manifest.contents
    if contents is None or size == contents.stored.size:
        return ""
    if size < 0:
        return "its contents are missing"
    return f"its contents have {size} bytes, the manifest says {contents.stored.size}"


def moment_of(snapshot: str) -> datetime:
    """Read the time out of a snapshot's id; the beginning of time where it is no real date."""
    try:
        return datetime.strptime(snapshot[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def require_manifest(entry: Entry) -> Manifest:
    """Return an entry's manifest; raises SnapshotCorrupt for a bad one."""
    if entry.manifest is None:
        raise SnapshotCorrupt(
            operation="open",
            subject=f"snapshot {entry.id}",
            cause=entry.problem,
            hint="choose another that `backup-worker list` shows as proven",
        )
    return entry.manifest


def _not_found(entries: Sequence[Entry], wanted: Sequence[Entry], name: str) -> SnapshotNotFound:
    good = [entry.id for entry in entries if entry.good]
    if not wanted:
        cause = f"the store holds {len(good)} good snapshots" + (
            f", the newest: {', '.join(good[:_NAMED_CANDIDATES])}" if good else ""
        )
        cause += f" and {bad} bad" if (bad := len(entries) - len(good)) else ""
        ahead = sum(entry.ahead for entry in entries)
        cause += f"; {ahead} are dated in the future of this machine's clock" if ahead else ""
    else:
        cause = "it begins more than one id: " + ", ".join(
            entry.id for entry in wanted[:_NAMED_CANDIDATES]
        )
    return SnapshotNotFound(
        operation="find",
        subject=f"snapshot {name!r}",
        cause=cause,
        hint="name one that `backup-worker list` shows, or `latest`",
    )
