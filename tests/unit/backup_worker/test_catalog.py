"""The catalogue shows every snapshot, and a bad one with its reason."""

from dataclasses import replace
from datetime import timedelta

import pytest

from backup_worker import manifest as manifests
from backup_worker.catalog import Catalog
from backup_worker.errors import SnapshotCorrupt, SnapshotNotFound
from backup_worker.manifest import Content, Contents, Kind, Manifest
from backup_worker.proving import drill
from backup_worker.proving.proof import By, Held, Loader, Proof
from backup_worker.store.memory import MemoryStore
from backup_worker.transform.signing import Signer
from tests.unit.backup_worker.snapshots import NOW, made, publish

SIGNER = Signer.generate()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def catalog(store: MemoryStore) -> Catalog:
    return Catalog(store, (SIGNER.public_key,))


def test_snapshots_are_listed_newest_first(store: MemoryStore, catalog: Catalog) -> None:
    old, new = publish(store, SIGNER, made(5)), publish(store, SIGNER, made(1))
    entries = catalog.list().entries
    assert [entry.manifest for entry in entries] == [new, old]
    assert all(entry.good and not entry.problem for entry in entries)


def test_an_empty_store_is_an_empty_list(catalog: Catalog) -> None:
    assert catalog.list().entries == ()
    assert catalog.list().latest is None


def test_a_manifest_of_a_stranger_is_shown_as_bad(store: MemoryStore, catalog: Catalog) -> None:
    good = publish(store, SIGNER, made(2))
    publish(store, Signer.generate(), made(1))
    bad, kept = catalog.list().entries
    assert not bad.good
    assert "not trusted" in bad.problem
    assert kept.manifest == good
    assert catalog.list().latest == kept


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a DSSE envelope"),
        (b"{}", "not a DSSE envelope"),
        (b"x" * 2_000_000, "not a DSSE envelope"),
        (b"[" * 200_000, "not a DSSE envelope"),
        (SIGNER.sign(b"{}", payload_type=manifests.PAYLOAD_TYPE), "no manifest of format"),
        (SIGNER.sign(b"{}", payload_type="text/plain"), "payload type"),
    ],
)
def test_an_unreadable_manifest_is_shown_with_its_reason(
    store: MemoryStore, catalog: Catalog, content: bytes, problem: str
) -> None:
    manifest = publish(store, SIGNER, made())
    store.put(manifests.manifest_key(manifest.id), [content])
    (entry,) = catalog.list().entries
    assert not entry.good
    assert problem in entry.problem


def test_a_manifest_moved_to_another_snapshot_is_bad(store: MemoryStore, catalog: Catalog) -> None:
    manifest, other = made(1), made(2)
    envelope = SIGNER.sign(manifests.encode(manifest), payload_type=manifests.PAYLOAD_TYPE)
    publish(store, SIGNER, other)
    store.put(manifests.manifest_key(other.id), [envelope])
    (entry,) = catalog.list().entries
    assert entry.problem == f"its manifest is that of {manifest.id}"


def test_a_missing_or_shorter_object_is_seen_without_reading_it(
    store: MemoryStore, catalog: Catalog
) -> None:
    missing, short = publish(store, SIGNER, made(1)), publish(store, SIGNER, made(2))
    store.delete(missing.object_key)
    store.put(short.object_key, [b"short"])
    problems = [entry.problem for entry in catalog.list().entries]
    assert problems[0] == "its object is missing"
    assert problems[1].startswith("its object has 5 bytes")


def test_an_object_without_manifest_is_no_snapshot(store: MemoryStore, catalog: Catalog) -> None:
    unfinished = made(1)
    store.put(unfinished.object_key, [b"half"])
    store.put("snapshots/readme.txt", [b"not ours"])
    listing = catalog.list()
    assert listing.entries == ()
    assert [orphan.id for orphan in listing.orphans] == [unfinished.id]


def test_latest_is_the_newest_good_one(store: MemoryStore, catalog: Catalog) -> None:
    good = publish(store, SIGNER, made(2))
    publish(store, Signer.generate(), made(1))
    assert catalog.find("latest") == good


def test_an_id_and_its_unique_beginning_name_a_snapshot(
    store: MemoryStore, catalog: Catalog
) -> None:
    old, new = publish(store, SIGNER, made(30)), publish(store, SIGNER, made(1))
    assert catalog.find(old.id) == old
    assert catalog.find(new.id[:11]) == new


@pytest.mark.parametrize("name", ["2019", "nonsense", "", "LATEST"])
def test_an_unknown_name_is_told_what_there_is(
    store: MemoryStore, catalog: Catalog, name: str
) -> None:
    known = publish(store, SIGNER, made(1))
    with pytest.raises(SnapshotNotFound, match=known.id):
        catalog.find(name)


def test_an_ambiguous_beginning_is_told_its_candidates(
    store: MemoryStore, catalog: Catalog
) -> None:
    first, second = publish(store, SIGNER, made(1)), publish(store, SIGNER, made(2))
    with pytest.raises(SnapshotNotFound, match=f"{first.id}, {second.id}"):
        catalog.find("2026")


def test_latest_of_nothing_good_is_not_found(store: MemoryStore, catalog: Catalog) -> None:
    publish(store, Signer.generate(), made(1))
    with pytest.raises(SnapshotNotFound, match="0 good snapshots and 1 bad"):
        catalog.find("latest")


def test_a_bad_snapshot_is_refused_by_name(store: MemoryStore, catalog: Catalog) -> None:
    bad = publish(store, Signer.generate(), made(1))
    with pytest.raises(SnapshotCorrupt, match="not trusted"):
        catalog.find(bad.id)


def proven(store: MemoryStore, manifest: Manifest, *, cause: str = "") -> Proof:
    """Put a proof beside a snapshot; with a cause it is one that failed."""
    proof = Proof(
        snapshot=manifest.id,
        cause=cause,
        held=None if cause else Held("d" * 40, {0: 1}, {}),
        seconds=1.0,
        loader=Loader("redis", "7.0.15"),
        rdb_sha256=manifest.rdb.sha256,
        at=manifest.taken_at,
        by=By.DRILL,
    )
    drill.publish(proof, store, SIGNER)
    return proof


def test_states(store: MemoryStore, catalog: Catalog) -> None:
    manifests_made = [publish(store, SIGNER, made(hours)) for hours in (1, 2, 3)]
    good = proven(store, manifests_made[1])
    proven(store, manifests_made[2], cause="Short read")
    publish(store, Signer.generate(), made(4))
    entries = catalog.list().entries
    assert [entry.state for entry in entries] == ["not proven", "proven", "failed", "bad"]
    assert entries[1].proof == good
    assert [entry.proven for entry in entries] == [False, True, False, False]


def test_latest_is_neither_failed_nor_a_safety_snapshot(
    store: MemoryStore, catalog: Catalog
) -> None:
    publish(store, SIGNER, replace(made(1), kind=Kind.SAFETY))
    proven(store, publish(store, SIGNER, made(2)), cause="Short read")
    wanted = publish(store, SIGNER, made(3))
    assert catalog.find("latest") == wanted
    found = catalog.list().latest
    assert found is not None
    assert found.id == wanted.id


def test_latest_is_not_dated_in_the_future(store: MemoryStore) -> None:
    catalog = Catalog(store, (SIGNER.public_key,), lambda: NOW)
    wanted = publish(store, SIGNER, made(-0.2))
    ahead = publish(store, SIGNER, made(-0.3))
    assert catalog.find("latest") == wanted
    assert catalog.find(ahead.id) == ahead
    entries = catalog.list().entries
    assert [(entry.id, entry.ahead) for entry in entries] == [(ahead.id, True), (wanted.id, False)]
    assert entries[0].note.startswith("dated in the future")


def test_a_clock_that_is_behind_is_told_why_nothing_is_the_latest(store: MemoryStore) -> None:
    publish(store, SIGNER, made(1))
    long_ago = Catalog(store, (SIGNER.public_key,), lambda: NOW - timedelta(days=30))
    with pytest.raises(SnapshotNotFound, match="1 are dated in the future of this machine's clock"):
        long_ago.find("latest")


def test_a_proof_that_does_not_count_is_named(store: MemoryStore, catalog: Catalog) -> None:
    for hours in (1, 2, 3):
        publish(store, SIGNER, made(hours))
    first, second, third = (made(hours) for hours in (1, 2, 3))
    proven(store, replace(first, rdb=Content(1000, "9" * 64)))
    store.put(manifests.proof_key(second.id), [b"{}"])
    proven(store, third)
    third_proof = b"".join(store.get(manifests.proof_key(third.id)))
    store.put(manifests.proof_key(third.id), [third_proof.replace(b"sig", b"gis")])
    entries = catalog.list().entries
    assert [entry.proof for entry in entries] == [None] * 3
    assert all(entry.note.startswith("its proof does not count: ") for entry in entries)
    assert entries[0].note.endswith("it is that of another RDB than the manifest's")


def test_missing_contents_are_noted_and_the_data_is_good(
    store: MemoryStore, catalog: Catalog
) -> None:
    plain = made(1)
    beside = Contents(manifests.contents_key(plain.id), Content(5, "2" * 64), Content(9, "3" * 64))
    publish(store, SIGNER, replace(plain, contents=beside))
    (entry,) = catalog.list().entries
    assert (entry.good, entry.note) == (True, "its contents are missing")
    store.put(beside.object_key, [b"123"])
    (entry,) = catalog.list().entries
    assert entry.note == "its contents have 3 bytes, the manifest says 5"
