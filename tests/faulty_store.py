"""A store that fails, is away, is slow or refuses to delete, as a test tells it to."""

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field

from backup_worker.errors import DeletionRefused
from backup_worker.store.contract import Store, StoredObject, TransientStoreError


@dataclass
class FaultyStore:
    """A Store around any other; its faults can be switched while it is in use.

    `away`: every request fails. `failures`: so many of the next requests fail, one by one.
    `lost_answers`: so many of the next writes are carried out and then fail. `rate`: bytes per
    second that a write takes, 0 for any. `only`: faults hit keys with this text alone.
    """

    store: Store
    away: bool = False
    failures: int = 0
    lost_answers: int = 0
    rate: float = 0.0
    undeletable: bool = False
    only: str = ""
    requests: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        """Write an object, unless it is to fail before or after it."""
        self._begin("put", key)
        stored = self.store.put(key, self._slowly(chunks), if_absent=if_absent)
        if self._use_up("lost_answers", key):
            raise _away("put", key)
        return stored

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield an object's bytes; being away ends a read in its middle too."""
        self._begin("get", key)
        for chunk in self.store.get(key, offset=offset):
            if self.away and self.only in key:
                raise _away("get", key)
            yield chunk

    def head(self, key: str) -> StoredObject:
        """Describe an object."""
        self._begin("head", key)
        return self.store.head(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix."""
        self._begin("list", prefix)
        yield from self.store.list(prefix)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._begin("delete", key)
        if self.undeletable and self.only in key:
            raise DeletionRefused(
                operation="delete", subject=key, cause="it is locked", hint="wait for the lock"
            )
        self.store.delete(key)

    def expire(self, key: str) -> None:
        """Mark an object for the store's own rules."""
        self._begin("expire", key)
        self.store.expire(key)

    def _begin(self, operation: str, key: str) -> None:
        with self._lock:
            self.requests += 1
        if (self.away and self.only in key) or self._use_up("failures", key):
            raise _away(operation, key)

    def _slowly(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """Hand on the chunks; what can be iterated again stays so."""
        return _Slow(chunks, self) if self.rate else chunks

    def _use_up(self, name: str, key: str) -> bool:
        with self._lock:
            left = getattr(self, name)
            if not left or self.only not in key:
                return False
            setattr(self, name, left - 1)
            return True


@dataclass(frozen=True)
class _Slow:
    """Chunks that take their time."""

    chunks: Iterable[bytes]
    faults: FaultyStore

    def __iter__(self) -> Iterator[bytes]:
        began, size = time.monotonic(), 0
        for chunk in self.chunks:
            if self.faults.away:
                raise _away("put", "in the middle")
            yield chunk
            size += len(chunk)
            if self.faults.rate:
                time.sleep(max(0.0, began + size / self.faults.rate - time.monotonic()))


def _away(operation: str, key: str) -> TransientStoreError:
    return TransientStoreError(
        operation=operation, subject=key, cause="the store is away", hint="try again"
    )
