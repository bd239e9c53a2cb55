"""Whether a store answers, noted around any store."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

from backup_worker.errors import AlreadyExists, BackupError, DeletionRefused, ObjectNotFound
from backup_worker.store.contract import Store, StoredObject

_Result = TypeVar("_Result")
_ANSWERS = (AlreadyExists, ObjectNotFound, DeletionRefused)


class ObservedStore:
    """A Store that keeps what came of the last request: `problem` is empty while it answers.

    `failures` counts the requests that it did not carry out. To be told that an object is missing,
    or there already, or not to be deleted, is an answer; a full store is a problem.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.problem = ""
        self.failures = 0

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        """Write an object."""
        return self._noted(lambda: self._store.put(key, chunks, if_absent=if_absent))

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield an object's bytes."""
        with self._watching(), closing(self._store.get(key, offset=offset)) as chunks:
            yield from chunks

    def head(self, key: str) -> StoredObject:
        """Describe an object."""
        return self._noted(lambda: self._store.head(key))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix."""
        with self._watching():
            yield from self._store.list(prefix)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._noted(lambda: self._store.delete(key))

    def expire(self, key: str) -> None:
        """Mark an object for the store's own rules."""
        self._noted(lambda: self._store.expire(key))

    def _noted(self, request: Callable[[], _Result]) -> _Result:
        with self._watching():
            return request()

    @contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except _ANSWERS:
            self.problem = ""
            raise
        except BackupError as error:
            self.problem = str(error)
            self.failures += 1
            raise
        self.problem = ""
