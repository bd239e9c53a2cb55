"""What stays and what goes, and that what goes, goes in the right order."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from backup_worker.catalog import Catalog, Entry, Listing
from backup_worker.errors import StoreUnreachable
from backup_worker.retention import Pruned, Verdict, plan_retention, prune
from backup_worker.store.memory import MemoryStore
from backup_worker.transform.signing import Signer
from tests.unit.backup_worker.snapshots import NOW, made, publish

WINDOW = timedelta(hours=168)


def entry(hours_ago: float, *, good: bool = True, nonce: int = 1) -> Entry:
    manifest = made(hours_ago, nonce=nonce)
    found = Entry(manifest.id, manifest.taken_at, manifest.stored.size, manifest)
    return found if good else replace(found, manifest=None, problem="bad")


def plan(*entries: Entry, orphans: tuple[Entry, ...] = ()) -> list[Verdict]:
    ordered = sorted(entries, key=lambda e: e.taken_at, reverse=True)
    return plan_retention(Listing(tuple(ordered), orphans), now=NOW, window=WINDOW)


def test_what_is_older_than_the_window_goes() -> None:
    keep, edge, gone = entry(1), entry(168), entry(168.1)
    verdicts = plan(gone, edge, keep)
    assert [(v.snapshot, v.keep) for v in verdicts] == [
        (keep.id, True),
        (edge.id, True),
        (gone.id, False),
    ]
    assert verdicts[1].reason == "younger than 2026-11-17 08:30"
    assert verdicts[2].reason == "older than 2026-11-17 08:30"


def test_the_last_good_snapshot_stays_whatever_its_age() -> None:
    only, older = entry(5000), entry(6000)
    assert [v.keep for v in plan(only, older)] == [True, False]
    assert plan(only)[0].reason == "last good snapshot"


def test_newer_bad_ones_do_not_take_its_place() -> None:
    good, bad = entry(300), entry(200, good=False)
    verdicts = {v.snapshot: v.keep for v in plan(good, bad)}
    assert verdicts == {good.id: True, bad.id: False}


def test_nothing_goes_while_nothing_is_good() -> None:
    verdicts = plan(entry(300, good=False), entry(400, good=False))
    assert all(v.keep and v.reason == "there is no good snapshot" for v in verdicts)


def test_an_orphan_goes_after_a_day() -> None:
    young, old = entry(23, good=False), entry(25, good=False)
    verdicts = plan(orphans=(young, old))
    assert [v.keep for v in verdicts] == [True, False]
    assert verdicts[1].reason == "no manifest: an unfinished transfer"


@given(st.lists(st.tuples(st.floats(-100, 1000), st.booleans()), max_size=20))
def test_every_snapshot_gets_one_verdict_and_a_good_one_survives(
    ages: list[tuple[float, bool]],
) -> None:
    entries = [entry(age, good=good, nonce=n) for n, (age, good) in enumerate(ages)]
    verdicts = plan(*entries)
    assert sorted(v.snapshot for v in verdicts) == sorted(e.id for e in entries)
    kept = {v.snapshot for v in verdicts if v.keep}
    if any(e.good for e in entries):
        assert any(e.good and e.id in kept for e in entries)
    for e in entries:
        assert e.id in kept or e.taken_at < NOW - WINDOW


class Recording(MemoryStore):
    """A MemoryStore that notes deletions, and forbids those of one snapshot."""

    def __init__(self, forbidden: str = "") -> None:
        super().__init__()
        self.deleted: list[str] = []
        self._forbidden = forbidden

    def delete(self, key: str) -> None:
        if self._forbidden and self._forbidden in key:
            raise StoreUnreachable(
                operation="delete", subject=key, cause="not allowed", hint="allow it"
            )
        self.deleted.append(key)
        super().delete(key)


def test_pruning_deletes_the_manifest_first() -> None:
    store, signer = Recording(), Signer.generate()
    new, old = publish(store, signer, made(1)), publish(store, signer, made(500))
    catalog = Catalog(store, (signer.public_key,))
    verdicts = plan_retention(catalog.list(), now=NOW, window=WINDOW)
    assert prune(store, verdicts) == Pruned((old.id,), ())
    assert [key.rpartition("/")[2] for key in store.deleted] == [
        "manifest.json",
        "dump.rdb.zst.age",
    ]
    assert [e.id for e in catalog.list().entries] == [new.id]
    assert catalog.list().orphans == ()


def test_a_store_that_forbids_deleting_is_reported_and_stops_nothing_else() -> None:
    signer = Signer.generate()
    new, old, oldest = made(1), made(500), made(600)
    store = Recording(forbidden=old.id)
    for manifest in (new, old, oldest):
        publish(store, signer, manifest)
    catalog = Catalog(store, (signer.public_key,))
    pruned = prune(store, plan_retention(catalog.list(), now=NOW, window=WINDOW))
    assert pruned == Pruned((oldest.id,), ((old.id, "not allowed"),))
    assert [e.id for e in catalog.list().entries] == [new.id, old.id]


def test_what_is_kept_is_not_touched() -> None:
    store = Recording()
    assert prune(store, [Verdict("x", True, "because")]) == Pruned((), ())
    assert store.deleted == []
