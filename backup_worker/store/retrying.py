"""Retries around any store."""

import hashlib
import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from backup_worker.errors import AlreadyExists, BackupError
from backup_worker.store.contract import Store, StoredObject, TransientStoreError
from redis_ha.eventlog import emit

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Patience:
    """How long to go on: tries, seconds of budget from the first, seconds of pause at most."""

    tries: int = 6
    budget: float = 60.0
    longest_pause: float = 15.0


class RetryingStore:
    """A Store that tries again what failed with TransientStoreError, with growing random pauses.

    A `put` is tried again only if its chunks can be iterated again (a list, or an object whose
    `__iter__` opens its source anew): an iterator is spent after one try, and its part requests
    are retried inside the S3 store. A read goes on where it was interrupted, and each chunk that
    arrives renews the budget.
    """

    def __init__(
        self,
        store: Store,
        *,
        patience: Patience = Patience(),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._patience = patience
        self._sleep = sleep

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        """Write an object; if an earlier try turns out to have made it, that is success."""
        if isinstance(chunks, Iterator):
            return self._store.put(key, chunks, if_absent=if_absent)
        tries = 0

        def attempt() -> StoredObject:
            nonlocal tries
            tries += 1
            try:
                return self._store.put(key, chunks, if_absent=if_absent)
            except AlreadyExists:
                if tries == 1 or not self._holds(key, chunks):
                    raise
                return self._store.head(key)

        return self._retry(attempt)

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield an object's bytes, resuming after an interruption."""
        position = offset
        stream: Generator[bytes, None, None] | None = None

        def next_chunk() -> bytes | None:
            nonlocal stream
            stream = stream or self._store.get(key, offset=position)
            try:
                return next(stream, None)
            except TransientStoreError:
                stream = None
                raise

        try:
            while (chunk := self._retry(next_chunk)) is not None:
                position += len(chunk)
                yield chunk
        finally:
            if stream is not None:
                stream.close()

    def head(self, key: str) -> StoredObject:
        """Describe an object."""
        return self._retry(lambda: self._store.head(key))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix, resuming after an interruption.

        What was yielded is passed over after it, by the order of keys: a store that lists them in
        another one is refused with BackupError.
        """
        seen = ""
        stream: Iterator[StoredObject] | None = None

        def next_object() -> StoredObject | None:
            nonlocal stream
            stream = stream or _in_order(self._store.list(prefix))
            try:
                return next((found for found in stream if found.key > seen), None)
            except TransientStoreError:
                stream = None
                raise

        while (found := self._retry(next_object)) is not None:
            seen = found.key
            yield found

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._retry(lambda: self._store.delete(key))

    def expire(self, key: str) -> None:
        """Mark an object for the store's own rules."""
        self._retry(lambda: self._store.expire(key))

    def _holds(self, key: str, chunks: Iterable[bytes]) -> bool:
        with closing(self._store.get(key)) as stored:
            return _digest(stored) == _digest(chunks)

    def _retry(self, attempt: Callable[[], _Result]) -> _Result:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientStoreError),
            stop=tenacity.stop_after_attempt(self._patience.tries)
            | tenacity.stop_after_delay(self._patience.budget),
            wait=tenacity.wait_random_exponential(max=self._patience.longest_pause),
            sleep=self._sleep,
            before_sleep=_report,
            reraise=True,
        )
        return retrying(attempt)


def _in_order(listing: Iterator[StoredObject]) -> Iterator[StoredObject]:
    """Yield a listing; raises BackupError where a key comes after a later one."""
    last = ""
    for found in listing:
        if found.key < last:
            raise BackupError(
                operation="list",
                subject=found.key,
                cause=f"the store lists it after {last}: its listing is not in the order of keys",
                hint="use a store that lists keys in order, as S3's general purpose buckets do",
            )
        last = found.key
        yield found


def _digest(chunks: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


def _report(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0.0
    emit(
        "store-retried",
        level=logging.WARNING,
        error=str(error),
        pause_seconds=round(pause, 1),
        attempt=state.attempt_number + 1,
    )
