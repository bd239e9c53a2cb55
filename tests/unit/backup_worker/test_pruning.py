"""That what goes, goes in the right order; and a store that keeps what it has."""

import json
import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from io import StringIO

import pytest

from backup_worker.calendar import Calendar
from backup_worker.catalog import Catalog
from backup_worker.clock import Clocks
from backup_worker.errors import DeletionRefused, StoreUnreachable
from backup_worker.holdings import read_holdings
from backup_worker.log import segment as segments
from backup_worker.log.segment import Mark, Segment, Timeline
from backup_worker.manifest import Content, contents_key, proof_key
from backup_worker.pruning import Pruned, Pruning, discard, prune
from backup_worker.retention import Verdict, What, plan_retention, snapshot_keys
from backup_worker.store.memory import MemoryStore
from backup_worker.transform.signing import Signer
from redis_ha import eventlog
from tests.unit.backup_worker.snapshots import NOW, made, publish

WINDOW = timedelta(hours=168)


class Recording(MemoryStore):
    """A MemoryStore that notes deletions, and refuses those of keys with one of some texts."""

    def __init__(self, locked: Iterable[str] = ()) -> None:
        super().__init__()
        self.deleted: list[str] = []
        self.asked = 0
        self.locked = set(locked)
        self.error: type[DeletionRefused | StoreUnreachable] = DeletionRefused

    def delete(self, key: str) -> None:
        self.asked += 1
        if any(text in key for text in self.locked):
            raise self.error(operation="delete", subject=key, cause="it is locked", hint="wait")
        self.deleted.append(key)
        super().delete(key)


class Hands:
    """Clocks that a test turns."""

    def __init__(self) -> None:
        self.wall, self.steady = NOW, 1000.0
        self.read = Clocks(lambda: self.steady, lambda: self.wall)

    def pass_by(self, *, hours: float) -> None:
        self.steady += 3600 * hours
        self.wall += timedelta(hours=hours)


class Marking(Recording):
    """One whose own rules remove what is marked, and where nobody else may delete."""

    def __init__(self) -> None:
        super().__init__(locked=[""])
        self.marked: list[str] = []

    def expire(self, key: str) -> None:
        self.marked.append(key)


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


def catalog_of(store: MemoryStore, signer: Signer) -> Catalog:
    return Catalog(store, (signer.public_key,))


def verdicts_on(store: MemoryStore, signer: Signer) -> list[Verdict]:
    return plan_retention(read_holdings(catalog_of(store, signer)), now=NOW, window=WINDOW)


def put_segment(store: MemoryStore, signer: Signer, start: int, *, hours_ago: float) -> Segment:
    """Put ten bytes of log into a store as the shipper does."""
    arrived = int((NOW - timedelta(hours=hours_ago)).timestamp() * 1000)
    made_of = Segment(
        timeline=Timeline("a" * 40),
        start=start,
        end=start + 9,
        db=0,
        marks=(Mark(start + 9, arrived),),
        stored=Content(3, "0" * 64),
        plain=Content(10, "1" * 64),
        recipients=("age1example",),
        source="10.0.0.2:6380",
        term=1,
    )
    store.put(made_of.name.object_key, [b"log"])
    envelope = signer.sign(segments.encode(made_of), payload_type=segments.PAYLOAD_TYPE)
    store.put(made_of.name.manifest_key, [envelope])
    return made_of


def names(verdicts: Iterable[Verdict]) -> list[str]:
    return [verdict.name for verdict in verdicts]


def test_a_snapshot_loses_its_manifest_first_and_its_data_last(signer: Signer) -> None:
    store = Recording()
    new, old = publish(store, signer, made(1)), publish(store, signer, made(500))
    store.put(proof_key(old.id), [b"proof"])
    store.put(contents_key(old.id), [b"contents"])
    pruned = prune(store, verdicts_on(store, signer))
    assert names(pruned.deleted) == [old.id]
    assert pruned.refused == pruned.untried == ()
    assert [key.rpartition("/")[2] for key in store.deleted] == [
        "manifest.json",
        "proof.json",
        "contents.json.zst.age",
        "dump.rdb.zst.age",
    ]
    listing = catalog_of(store, signer).list()
    assert [e.id for e in listing.entries] == [new.id]
    assert listing.orphans == ()


def test_all_kinds_go_together(signer: Signer) -> None:
    store = Recording()
    publish(store, signer, made(1))
    before = put_segment(store, signer, 1, hours_ago=2)
    across = put_segment(store, signer, 550, hours_ago=0.9)
    half = put_segment(store, signer, 900, hours_ago=30)
    MemoryStore.delete(store, half.name.manifest_key)
    unfinished = made(30, nonce=9)
    store.put(unfinished.object_key, [b"half"])
    for term in range(1, 12):
        store.put(f"lease/{term:010d}.json", [b"{}"])
    store.put("lease/notes.txt", [b"not ours"])
    pruned = prune(store, verdicts_on(store, signer))
    assert sorted((v.what, v.name) for v in pruned.deleted) == [
        (What.HALF, unfinished.id),
        (What.HALF, half.name.object_key),
        (What.LEASE, "lease/0000000001.json"),
        (What.SEGMENT, before.name.stem),
    ]
    left = [found.key for found in store.list()]
    assert across.name.manifest_key in left
    assert "lease/notes.txt" in left
    assert store.deleted.index(before.name.manifest_key) < store.deleted.index(
        before.name.object_key
    )
    assert all(verdict.keep for verdict in verdicts_on(store, signer))


def test_a_segment_that_is_not_ours_has_the_window(signer: Signer) -> None:
    store = Recording()
    publish(store, signer, made(1))
    put_segment(store, Signer.generate(), 11, hours_ago=100)
    old = put_segment(store, Signer.generate(), 1, hours_ago=500)
    assert [gone.name for gone in prune(store, verdicts_on(store, signer)).deleted] == [
        old.name.stem
    ]
    assert prune(store, verdicts_on(store, signer)) == Pruned()


def test_one_locked_snapshot_stays_whole_and_stops_no_other(signer: Signer) -> None:
    new, old, oldest = made(1), made(500), made(600)
    store = Recording(locked=[old.id])
    for manifest in (new, old, oldest):
        publish(store, signer, manifest)
    pruned = prune(store, verdicts_on(store, signer))
    assert names(pruned.deleted) == [oldest.id]
    assert [(v.name, cause) for v, cause in pruned.refused] == [(old.id, "it is locked")]
    assert [e.id for e in catalog_of(store, signer).list().entries] == [new.id, old.id]


def test_a_store_that_lets_nothing_go_is_not_asked_a_thousand_times(signer: Signer) -> None:
    store = Recording(locked=[""])
    publish(store, signer, made(1))
    for number in range(100):
        put_segment(store, signer, 1 + number, hours_ago=500)
    pruned = prune(store, verdicts_on(store, signer))
    assert pruned.deleted == ()
    assert len(pruned.refused) == store.asked == 8
    assert len(pruned.untried) == 92


def test_what_may_not_be_deleted_is_marked_whole_and_in_its_order(signer: Signer) -> None:
    store = Marking()
    publish(store, signer, made(1))
    old = publish(store, signer, made(500))
    segments_ = [put_segment(store, signer, 1 + 10 * n, hours_ago=500) for n in range(20)]
    pruned = prune(store, verdicts_on(store, signer))
    assert sorted(names(pruned.marked)) == sorted([old.id, *(s.name.stem for s in segments_)])
    assert pruned.deleted == pruned.refused == pruned.untried == ()
    assert store.deleted == []
    assert [key for key in store.marked if old.id in key] == list(snapshot_keys(old.id))


@pytest.fixture
def told() -> Iterator[StringIO]:
    """Keep the events."""
    stream = StringIO()
    eventlog.configure("worker-1", component="worker", stream=stream)
    yield stream
    logging.getLogger(eventlog.__name__).handlers = []


def test_the_worker_marks_each_thing_once_and_says_so(signer: Signer, told: StringIO) -> None:
    store = Marking()
    publish(store, signer, made(1))
    old = publish(store, signer, made(500))
    pruning = Pruning(WINDOW, lambda: NOW)
    for _ in range(3):
        pruning(catalog_of(store, signer))
    assert store.marked == list(snapshot_keys(old.id))
    # Removed by the store, and there again: a name that comes back is marked again.
    store.locked.clear()
    discard(store, old.id)
    store.locked.add("")
    pruning(catalog_of(store, signer))
    publish(store, signer, made(500))
    pruning(catalog_of(store, signer))
    assert store.marked == 2 * list(snapshot_keys(old.id))
    events = [json.loads(line) for line in told.getvalue().splitlines()]
    assert [event["marked"] for event in events] == [{"snapshot": 1}] * 2


def test_a_store_that_is_away_is_an_error(signer: Signer) -> None:
    store = Recording(locked=[""])
    store.error = StoreUnreachable
    publish(store, signer, made(1))
    publish(store, signer, made(500))
    with pytest.raises(StoreUnreachable):
        prune(store, verdicts_on(store, signer))


def test_what_is_kept_is_not_touched() -> None:
    store = Recording()
    assert prune(store, [Verdict(What.SNAPSHOT, "x", True, "because")]) == Pruned()
    assert store.deleted == []


def test_the_worker_says_once_that_the_store_keeps_everything(
    signer: Signer, told: StringIO
) -> None:
    store = Recording(locked=[""])
    publish(store, signer, made(1))
    old = publish(store, signer, made(500))
    pruning = Pruning(WINDOW, lambda: NOW)
    for _ in range(3):
        pruning(catalog_of(store, signer))
    store.locked.clear()
    pruning(catalog_of(store, signer))
    refused, pruned = map(json.loads, told.getvalue().splitlines())
    assert (refused["level"], refused["first"], refused["cause"]) == (
        "warning",
        old.id,
        "it is locked",
    )
    assert pruned["deleted"] == {"snapshot": 1}


def test_a_clock_that_leaps_ahead_takes_no_history_along(signer: Signer, told: StringIO) -> None:
    store, clocks = MemoryStore(), Hands()
    for hours in range(168):
        publish(store, signer, made(hours, nonce=hours + 1))
    pruning = Pruning(WINDOW, Calendar(clocks.read))
    clocks.wall += timedelta(days=30)
    for hours in (1, 2):
        clocks.pass_by(hours=1)
        publish(store, signer, made(-30 * 24 - hours, nonce=1000 + hours))
        pruning(catalog_of(store, signer))
    assert len(catalog_of(store, signer).list().entries) == 169
    (leapt,) = [e for e in map(json.loads, told.getvalue().splitlines()) if e["event"] != "pruned"]
    assert (leapt["event"], leapt["level"], leapt["seconds"]) == ("clock-leapt", "warning", 2592000)


def test_a_worker_that_began_with_a_wrong_clock_deletes_slowly(signer: Signer) -> None:
    store = MemoryStore()
    for hours in range(168):
        publish(store, signer, made(hours, nonce=hours + 1))
    pruning = Pruning(WINDOW, lambda: NOW + timedelta(days=30))
    for left in (165, 162, 159):
        pruning(catalog_of(store, signer))
        assert len(catalog_of(store, signer).list().entries) == left


def test_what_a_store_will_not_let_go_holds_up_nothing_that_comes_later(signer: Signer) -> None:
    store = Marking()
    publish(store, signer, made(1))
    for hours in range(8):
        publish(store, signer, made(500 + hours, nonce=hours + 1))
    pruning = Pruning(WINDOW, lambda: NOW)
    for marked in (3, 6, 8, 8):
        pruning(catalog_of(store, signer))
        assert len([key for key in store.marked if key.endswith("/manifest.json")]) == marked
