"""Retries around a small store that fails on command."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import pytest

from backup_worker.errors import (
    AlreadyExists,
    BackupError,
    ObjectNotFound,
    StoreFull,
    StoreUnreachable,
)
from backup_worker.store.contract import StoredObject, TransientStoreError
from backup_worker.store.memory import MemoryStore
from backup_worker.store.retrying import Patience, RetryingStore
from tests.contract.store.test_store_contract import content, keys, read

CHUNK = 256 * 1024
T = TypeVar("T")


def fault(kind: type[StoreUnreachable] = TransientStoreError) -> StoreUnreachable:
    return kind(operation="try", subject="x", cause="broken on purpose", hint="try again")


@dataclass
class FailingStore(MemoryStore):
    """A memory store whose next `failures` calls fail, after `steps` chunks or entries."""

    failures: int = 0
    steps: int = 0
    after_the_write: bool = False
    error: Callable[[], Exception] = fault
    tries: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def _fails(self) -> bool:
        self.tries += 1
        self.failures -= 1
        return self.failures >= 0

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        failing = self._fails()
        if failing and not self.after_the_write:
            for _ in chunks:
                raise self.error()
        stored = super().put(key, chunks, if_absent=if_absent)
        if failing:
            raise self.error()
        return stored

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        yield from self._interrupted(super().get(key, offset=offset))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        yield from self._interrupted(super().list(prefix))

    def head(self, key: str) -> StoredObject:
        if self._fails():
            raise self.error()
        return super().head(key)

    def _interrupted(self, items: Iterable[T]) -> Iterator[T]:
        failing = self._fails()
        for number, item in enumerate(items):
            if failing and number >= self.steps:
                raise self.error()
            yield item


def retrying(store: FailingStore, *, tries: int = 4) -> tuple[RetryingStore, list[float]]:
    pauses: list[float] = []
    patience = Patience(tries=tries, budget=30, longest_pause=5)
    return RetryingStore(store, patience=patience, sleep=pauses.append), pauses


def test_a_transient_error_is_tried_again_with_pauses() -> None:
    failing = FailingStore(failures=3)
    store, pauses = retrying(failing)
    store.put("x", [b"data"])
    assert read(failing, "x") == b"data"
    assert len(pauses) == 3
    assert all(0 <= pause <= 5 for pause in pauses)


def test_pauses_grow_and_are_random() -> None:
    store, pauses = retrying(FailingStore(failures=1000), tries=300)
    with pytest.raises(TransientStoreError):
        store.put("x", [b"data"])
    assert max(pauses[:2]) < max(pauses)
    assert len(set(pauses)) > 200
    assert 4 < max(pauses) <= 5


def test_it_gives_up_with_the_last_error() -> None:
    failing = FailingStore(failures=100)
    store, _ = retrying(failing)
    with pytest.raises(TransientStoreError):
        store.put("x", [b"data"])
    assert failing.tries == 4


def test_the_budget_ends_it_too() -> None:
    failing = FailingStore(failures=100)
    store = RetryingStore(failing, patience=Patience(tries=100, budget=0), sleep=lambda _: None)
    with pytest.raises(TransientStoreError):
        store.head("x")
    assert failing.tries == 1


@pytest.mark.parametrize("kind", [StoreUnreachable, StoreFull])
def test_a_lasting_error_is_not_tried_again(kind: type[StoreUnreachable]) -> None:
    failing = FailingStore(failures=1, error=lambda: fault(kind))
    store, pauses = retrying(failing)
    with pytest.raises(kind):
        store.put("x", [b"data"])
    assert pauses == []


def test_a_spent_iterator_is_not_put_again() -> None:
    failing = FailingStore(failures=1)
    store, pauses = retrying(failing)
    with pytest.raises(TransientStoreError):
        store.put("x", iter([b"one", b"two"]))
    assert pauses == []
    assert keys(failing) == []


def test_our_own_earlier_write_is_success() -> None:
    failing = FailingStore(failures=1, after_the_write=True)
    store, _ = retrying(failing)
    assert store.put("x", [b"da", b"ta"], if_absent=True) == StoredObject("x", 4)


def test_another_s_write_is_not() -> None:
    failing = FailingStore()
    failing.put("x", [b"theirs"])
    failing.failures = 1
    store, _ = retrying(failing)
    with pytest.raises(AlreadyExists):
        store.put("x", [b"ours"], if_absent=True)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_read_goes_on_where_it_was_interrupted(steps: int) -> None:
    failing = FailingStore(steps=steps)
    failing.put("x", [content(5 * CHUNK)])
    failing.failures = 3
    store, _ = retrying(failing)
    assert read(store, "x") == content(5 * CHUNK)
    failing.failures = 2
    assert read(store, "x", offset=CHUNK + 7) == content(5 * CHUNK)[CHUNK + 7 :]


def test_each_chunk_renews_the_patience() -> None:
    failing = FailingStore(steps=1)
    failing.put("x", [content(10 * CHUNK)])
    failing.failures = 9
    store, pauses = retrying(failing, tries=2)
    assert read(store, "x") == content(10 * CHUNK)
    assert len(pauses) == 9


def test_a_read_can_be_given_up() -> None:
    failing = FailingStore()
    failing.put("x", [content(5 * CHUNK)])
    store, _ = retrying(failing)
    with closing(store.get("x")) as chunks:
        assert next(chunks) == content(5 * CHUNK)[:CHUNK]


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_listing_goes_on_where_it_was_interrupted(steps: int) -> None:
    failing = FailingStore(steps=steps)
    names = [f"log/{number}" for number in range(8)]
    for name in names:
        failing.put(name, [b"x"])
    failing.failures = 2
    store, _ = retrying(failing)
    assert keys(store) == names


def test_absence_passes_through() -> None:
    store, pauses = retrying(FailingStore())
    with pytest.raises(ObjectNotFound):
        read(store, "x")
    with pytest.raises(ObjectNotFound):
        store.head("x")
    store.delete("x")
    assert pauses == []


class Unsorted(FailingStore):
    """A store that lists keys in the order in which they were written."""

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        yield from self._interrupted(
            StoredObject(key, 1) for key in ("log/b", "log/c", "log/a", "log/d")
        )


@pytest.mark.parametrize("failures", [0, 1])
def test_a_listing_that_is_not_in_the_order_of_keys_is_refused(failures: int) -> None:
    """To pass over what came would drop what has not come yet."""
    store, _ = retrying(Unsorted(failures=failures, steps=2))
    with pytest.raises(BackupError, match="log/a: the store lists it after log/c"):
        list(store.list())
