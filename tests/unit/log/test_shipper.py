"""Segments reach the store in order, whole, once, under the term of the day."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup_worker.errors import AlreadyExists, LeaseLost
from backup_worker.log.catalog import LogCatalog
from backup_worker.log.shipper import Shipper
from backup_worker.log.spool import Spool
from backup_worker.log.timeline import Gap
from backup_worker.store.contract import StoredObject, TransientStoreError
from backup_worker.store.memory import MemoryStore
from tests.unit.log.test_spool import fill
from tests.unit.log.test_writer import SIGNER, opened, sealing, spool_at


class TroubledStore(MemoryStore):
    """A store whose n-th writes fail: after they took effect, or before."""

    def __init__(self, *, before: Iterable[int] = (), after: Iterable[int] = ()) -> None:
        super().__init__()
        self.writes: list[str] = []
        self._before, self._after = set(before), set(after)

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        self.writes.append(key)
        number = len(self.writes)
        if number in self._before:
            raise _away()
        stored = super().put(key, chunks, if_absent=if_absent)
        if number in self._after:
            raise _away()
        return stored


def _away() -> TransientStoreError:
    return TransientStoreError(operation="put", subject="x", cause="away", hint="wait")


@contextmanager
def shipping(
    spool: Spool,
    store: MemoryStore,
    *,
    may_publish: Callable[[], None] = lambda: None,
    holes: list[Gap] | None = None,
) -> Iterator[Shipper]:
    found: list[Gap] = [] if holes is None else holes
    shipper = Shipper(spool, store, sealing(), may_publish, found.append)
    shipper.start()
    try:
        yield shipper
    finally:
        began = time.monotonic()
        shipper.finish(5)
        assert time.monotonic() - began < 4


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ends(store: MemoryStore) -> list[int]:
    return [name.end for name in LogCatalog(store, (SIGNER.public_key,)).list().names]


@pytest.mark.parametrize(
    "store",
    [
        TroubledStore(),
        TroubledStore(before=[1, 4]),
        TroubledStore(after=[1, 4]),
        TroubledStore(before=[2], after=[3, 5]),
    ],
)
def test_all_are_shipped_in_order_whatever_fails_on_the_way(
    tmp_path: Path, store: TroubledStore
) -> None:
    spool = spool_at(tmp_path)
    waiting = fill(spool, 4)
    contents = [b"".join(spool.object_chunks(sealed)) for sealed in waiting]
    with shipping(spool, store):
        wait_until(lambda: spool.sealed == ())
    assert list(tmp_path.iterdir()) == []
    assert ends(store) == [sealed.name.end for sealed in waiting]
    assert [b"".join(store.get(s.name.object_key)) for s in waiting] == contents
    order = list(dict.fromkeys(store.writes))
    assert order == [k for s in waiting for k in (s.name.object_key, s.name.manifest_key)]


def test_without_permission_nothing_is_written_until_there_is_some(tmp_path: Path) -> None:
    allowed, store, spool = threading.Event(), TroubledStore(), spool_at(tmp_path)
    fill(spool, 2)

    def require() -> None:
        if not allowed.is_set():
            raise LeaseLost(operation="ship", subject="x", cause="not yours", hint="wait")

    with shipping(spool, store, may_publish=require) as shipper:
        wait_until(lambda: "not yours" in shipper.problem)
        assert store.writes == []
        allowed.set()
        shipper.look_again()
        wait_until(lambda: spool.sealed == ())
        assert shipper.problem == ""
        assert shipper.shipped == ends(store)[-1]


def test_a_segment_bears_the_term_under_which_it_is_shipped(tmp_path: Path) -> None:
    spool, store = spool_at(tmp_path), MemoryStore()
    (sealed,) = fill(spool, 1)
    segment, _ = opened(spool, sealed)
    sealer = sealing()
    later = type(sealer)(sealer.recipients, sealer.signer, lambda: 9, seconds=1, size=1)
    shipper = Shipper(spool, store, later, lambda: None, lambda _: None)
    shipper.start()
    wait_until(lambda: spool.sealed == ())
    shipper.finish(5)
    catalog = LogCatalog(store, (SIGNER.public_key,))
    (name,) = catalog.list().names
    assert (segment.term, name.term, catalog.read(name).term) == (4, 9, 9)


def test_what_the_store_has_already_is_not_shipped_again(tmp_path: Path) -> None:
    first, second = spool_at(tmp_path / "one"), spool_at(tmp_path / "two")
    store, holes = TroubledStore(), list[Gap]()
    fill(first, 2)
    with shipping(first, store):
        wait_until(lambda: first.sealed == ())
    fill(second, 3)
    with shipping(second, store, holes=holes):
        wait_until(lambda: second.sealed == ())
    assert len(store.writes) == 6
    assert holes == []


def test_a_hole_before_what_waits_is_told_once(tmp_path: Path) -> None:
    first, second = spool_at(tmp_path / "one"), spool_at(tmp_path / "two")
    store, holes = MemoryStore(), list[Gap]()
    fill(first, 1)
    with shipping(first, store):
        wait_until(lambda: first.sealed == ())
    for sealed in fill(second, 4)[:2]:
        second.remove(sealed)
    with shipping(second, store, holes=holes):
        wait_until(lambda: second.sealed == ())
    assert len(holes) == 1
    assert len(ends(store)) == 3


def test_a_hole_in_the_middle_of_what_waits_is_told_once(tmp_path: Path) -> None:
    """A damaged segment was removed at the start."""
    spool, store, holes = spool_at(tmp_path), MemoryStore(), list[Gap]()
    waiting = fill(spool, 5)
    spool.remove(waiting[2])
    with shipping(spool, store, holes=holes) as shipper:
        shipper.look_again()
        wait_until(lambda: spool.sealed == ())
    (hole,) = holes
    assert str(waiting[3].name.start) in hole.reason


def test_where_the_log_began_anew_is_told_already(tmp_path: Path) -> None:
    spool, store, holes = spool_at(tmp_path), MemoryStore(), list[Gap]()
    waiting = fill(spool, 3)
    spool.remove(waiting[1])
    after = waiting[2].name
    shipper = Shipper(spool, store, sealing(), lambda: None, holes.append)
    shipper.begins(after.replid, after.start - 1)
    shipper.start()
    wait_until(lambda: spool.sealed == ())
    shipper.finish(5)
    assert holes == []


def test_another_object_of_that_name_is_never_taken_for_ours(tmp_path: Path) -> None:
    spool, store = spool_at(tmp_path), MemoryStore()
    (sealed,) = fill(spool, 1)
    store.put(sealed.name.object_key, [b"something else"])
    with shipping(spool, store) as shipper:
        wait_until(lambda: shipper.problem != "")
        assert spool.sealed == (sealed,)
    assert b"".join(store.get(sealed.name.object_key)) == b"something else"
    with pytest.raises(AlreadyExists):
        store.put(sealed.name.object_key, [b""], if_absent=True)
