"""Which snapshots a store holds: every signed manifest, and every one that can't be trusted."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from backup_worker import manifest as manifests
from backup_worker.errors import ObjectNotFound, SnapshotCorrupt, SnapshotNotFound
from backup_worker.manifest import Manifest
from backup_worker.store.contract import Store, StoredObject
from backup_worker.transform.signing import verify

LATEST = "latest"
_MAX_MANIFEST = 1024 * 1024
_READERS = 8
_NAMED_CANDIDATES = 5


@dataclass(frozen=True)
class Entry:
    """One snapshot as the store shows it; without a manifest it is bad, and `problem` says why.

    `size` is the stored object's, in bytes; -1 when the object is missing.
    """

    id: str
    taken_at: datetime
    size: int
    manifest: Manifest | None = None
    problem: str = ""

    @property
    def good(self) -> bool:
        return self.manifest is not None


@dataclass(frozen=True)
class Listing:
    """All that lies under snapshots/: entries and objects without manifest, newest first."""

    entries: tuple[Entry, ...]
    orphans: tuple[Entry, ...]

    @property
    def latest(self) -> Entry | None:
        """The newest good entry."""
        return next((entry for entry in self.entries if entry.good), None)


@dataclass(frozen=True)
class Catalog:
    """Reads snapshots from `store`; `trusted` are raw Ed25519 public keys of 32 bytes."""

    store: Store
    trusted: tuple[bytes, ...]

    def list(self) -> Listing:
        """Read all manifests. A bad one is an entry with its reason; raises StoreUnreachable."""
        sizes = sizes_by_snapshot(self.store.list(manifests.SNAPSHOTS))
        named = [key for key, (_, has_manifest) in sizes.items() if has_manifest]
        with ThreadPoolExecutor(_READERS) as pool:
            entries = pool.map(lambda key: self._entry(key, sizes[key][0]), named)
            found = newest_first(entries)
        orphans = [
            Entry(key, moment_of(key), size, problem="no manifest")
            for key, (size, has_manifest) in sizes.items()
            if not has_manifest
        ]
        return Listing(tuple(found), tuple(newest_first(orphans)))

    def find(self, name: str) -> Manifest:
        """Return the manifest that `latest`, an id, or the unique beginning of one names.

        Raises SnapshotNotFound with candidates, SnapshotCorrupt when that snapshot is bad.
        """
        return choose(self.list().entries, name)

    def _entry(self, snapshot: str, size: int) -> Entry:
        key = manifests.manifest_key(snapshot)
        try:
            payload = verify(
                self._read(key), self.trusted, payload_type=manifests.PAYLOAD_TYPE, subject=key
            )
            found = manifests.decode(payload, key=key)
        except (SnapshotCorrupt, ObjectNotFound) as error:
            return Entry(snapshot, moment_of(snapshot), size, problem=error.cause)
        problem = mismatch(found, snapshot, size)
        if problem:
            return Entry(snapshot, moment_of(snapshot), size, problem=problem)
        return Entry(snapshot, found.taken_at, size, found)

    def _read(self, key: str) -> bytes:
        content = b""
        with closing(self.store.get(key)) as chunks:
            for chunk in chunks:
                content += chunk
                if len(content) > _MAX_MANIFEST:
                    break
        return content[:_MAX_MANIFEST]


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """Sort by time, equal times by id."""
    return sorted(entries, key=lambda entry: (entry.taken_at, entry.id), reverse=True)


def choose(entries: Sequence[Entry], name: str) -> Manifest:
    """Find a snapshot by name among entries, newest first; see Catalog.find."""
    if name == LATEST:
        wanted = [entry for entry in entries if entry.good][:1]
    else:
        wanted = [entry for entry in entries if name and entry.id.startswith(name)]
    if len(wanted) != 1:
        raise _not_found(entries, wanted, name)
    if wanted[0].manifest is None:
        raise SnapshotCorrupt(
            operation="open",
            subject=f"snapshot {wanted[0].id}",
            cause=wanted[0].problem,
            hint="choose another that `backup-worker list` shows as verified",
        )
    return wanted[0].manifest


def sizes_by_snapshot(objects: Iterable[StoredObject]) -> dict[str, tuple[int, bool]]:
    """Say for each snapshot id the object's size (-1: missing) and whether it has a manifest.

    Keys that are not of this format are none of ours and left out.
    """
    found: dict[str, tuple[int, bool]] = {}
    for stored in objects:
        snapshot = stored.key.removeprefix(manifests.SNAPSHOTS).partition("/")[0]
        if not manifests.ID_PATTERN.fullmatch(snapshot):
            continue
        size, has_manifest = found.get(snapshot, (-1, False))
        if stored.key == manifests.manifest_key(snapshot):
            found[snapshot] = (size, True)
        elif stored.key == manifests.object_key(snapshot):
            found[snapshot] = (stored.size, has_manifest)
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


def moment_of(snapshot: str) -> datetime:
    """Read the time out of a snapshot's id; the beginning of time where it is no real date."""
    try:
        return datetime.strptime(snapshot[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _not_found(entries: Sequence[Entry], wanted: Sequence[Entry], name: str) -> SnapshotNotFound:
    good = [entry.id for entry in entries if entry.good]
    if not wanted:
        cause = f"the store holds {len(good)} good snapshots" + (
            f", the newest: {', '.join(good[:_NAMED_CANDIDATES])}" if good else ""
        )
        cause += f" and {bad} bad" if (bad := len(entries) - len(good)) else ""
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
