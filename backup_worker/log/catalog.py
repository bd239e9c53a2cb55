"""Which segments a store holds."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from backup_worker.errors import ObjectNotFound, SnapshotCorrupt
from backup_worker.log import segment as segments
from backup_worker.log.segment import Segment, SegmentName
from backup_worker.store.contract import Store, StoredObject, read_small
from backup_worker.transform.signing import verify

_READERS = 8
# Of an offset's 16 digits those that all within 100 MB share.
_NEAR_DIGITS = 8


@dataclass(frozen=True)
class LogListing:
    """All under log/: whole segments, and halves (an object or a manifest without the other)."""

    names: tuple[SegmentName, ...]
    halves: tuple[str, ...]


@dataclass(frozen=True)
class LogCatalog:
    """Reads the log from `store`; `trusted` are raw Ed25519 public keys of 32 bytes."""

    store: Store
    trusted: tuple[bytes, ...]

    def list(self) -> LogListing:
        """Name every segment, sorted; reads no manifest. Raises StoreUnreachable."""
        return pair_up(self.store.list(segments.LOG))

    def reached(self, name: SegmentName) -> int:
        """Return how far the store's log goes on a segment's timeline, looked for around it.

        -1 when there is nothing near. Lists some 100 MB of the log only. Raises StoreUnreachable.
        """
        folder = f"{segments.LOG}{name.replid}/"
        near = {f"{offset:016d}"[:_NEAR_DIGITS] for offset in (name.start, name.end)}
        found = (pair_up(self.store.list(folder + digits)).names for digits in sorted(near))
        return max((other.end for names in found for other in names), default=-1)

    def read(self, name: SegmentName) -> Segment:
        """Return a segment's manifest; raises SnapshotCorrupt naming the object."""
        key = name.manifest_key
        try:
            envelope = read_small(self.store, key)
        except ObjectNotFound as error:
            raise SnapshotCorrupt(
                operation="read", subject=key, cause="it is gone", hint="restore to a point before"
            ) from error
        payload = verify(envelope, self.trusted, payload_type=segments.PAYLOAD_TYPE, subject=key)
        return segments.decode(payload, key=key)

    def read_all(self, names: Iterable[SegmentName]) -> tuple[Segment, ...]:
        """Read several manifests at once, in the order given."""
        with ThreadPoolExecutor(_READERS) as pool:
            return tuple(pool.map(self.read, names))


def pair_up(objects: Iterable[StoredObject]) -> LogListing:
    """Tell whole segments from halves; keys that are not of this format are left out.

    Objects are sorted by key, as stores list them: then segments are sorted, and the two objects
    of one are neighbours.
    """
    names, halves = [], []
    for name, keys in groupby(_parsed(objects), key=itemgetter(0)):
        manifests = [is_manifest for _, is_manifest in keys]
        if len(manifests) == 2:
            names.append(name)
        else:
            halves.append(name.manifest_key if manifests[0] else name.object_key)
    return LogListing(tuple(names), tuple(halves))


def _parsed(objects: Iterable[StoredObject]) -> Iterator[tuple[SegmentName, bool]]:
    return (found for stored in objects if (found := segments.parse_key(stored.key)) is not None)
