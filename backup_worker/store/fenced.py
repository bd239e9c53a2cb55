"""A store that only the holder of the lease may change."""

from collections.abc import Callable, Generator, Iterable, Iterator

from backup_worker.store.contract import Store, StoredObject


class FencedStore:
    """A Store that calls `require` before each change; what it raises (LeaseLost) prevents it.

    The manifest, written last, is what publishes: a worker that lost its lease in the middle of
    a transfer leaves an object that nobody lists.
    """

    def __init__(self, store: Store, require: Callable[[], None]) -> None:
        self._store = store
        self._require = require

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        """Write an object."""
        self._require()
        return self._store.put(key, chunks, if_absent=if_absent)

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield an object's bytes."""
        return self._store.get(key, offset=offset)

    def head(self, key: str) -> StoredObject:
        """Describe an object."""
        return self._store.head(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix."""
        return self._store.list(prefix)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._require()
        self._store.delete(key)

    def expire(self, key: str) -> None:
        """Mark an object for the store's own rules."""
        self._require()
        self._store.expire(key)
