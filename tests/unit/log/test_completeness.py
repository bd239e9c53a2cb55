"""`verify --all` finds what is gone; what the worker itself told of, or never finished, is none."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from backup_worker.holdings import read_holdings
from backup_worker.log.segment import Segment, Timeline
from backup_worker.manifest import Kind, Manifest, ReplicationPoint, manifest_key, proof_key
from backup_worker.proving.verification import Finding, Verifier
from backup_worker.retention import What, plan_retention
from tests.unit.backup_worker.snapshots import CONTENT, NOW, made
from tests.unit.log.stored import A, B, StoredLog, content

SET = (b"SET", b"k", b"v")
MS = int(NOW.timestamp() * 1000)
WINDOW = timedelta(hours=168)


def test_a_whole_store_is_complete() -> None:
    assert gone(Stored.usual()) == []


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_a_deleted_segment_is_a_hole_after_the_snapshot(index: int) -> None:
    stored = Stored.usual()
    name = stored.segments[index].name
    stored.delete(name.object_key, name.manifest_key)
    (hole,) = gone(stored)
    assert hole == f"log/{A}/{name.start:016d}-{name.end:016d}"


def test_the_end_of_a_history_before_a_failover_is_missed_as_well() -> None:
    stored = Stored.usual()
    fork = stored.log.end
    stored.write(timeline=Timeline(B, A, fork))
    name = stored.segments[4].name
    stored.delete(name.object_key, name.manifest_key)
    assert gone(stored) == [f"log/{A}/{name.start:016d}-{name.end:016d}"]


def test_a_deleted_manifest_of_a_segment_is_named() -> None:
    stored = Stored.usual()
    name = stored.segments[2].name
    stored.delete(name.manifest_key)
    assert name.manifest_key in gone(stored)


def test_a_deleted_manifest_of_a_proven_snapshot_is_named_and_the_rest_stays() -> None:
    stored = Stored.usual()
    lost = stored.snapshot(offset=5, hours_ago=48)
    stored.log.store.put(proof_key(lost.id), [b"a proof"])
    stored.delete(manifest_key(lost.id))
    assert gone(stored) == [manifest_key(lost.id)]
    assert kept(stored, lost, at_hours=0)
    assert not kept(stored, lost, at_hours=168)
    assert gone(stored, at_hours=168) == []


def test_an_unfinished_snapshot_is_none_that_is_gone() -> None:
    stored = Stored.usual()
    unfinished = stored.snapshot(offset=5, hours_ago=48)
    stored.delete(manifest_key(unfinished.id))
    assert gone(stored) == []
    assert not kept(stored, unfinished, at_hours=0)


def test_a_half_whose_bytes_were_shipped_again_is_left_over_only() -> None:
    """The worker was killed before the manifest and shipped the rest under its next term."""
    stored = Stored.usual()
    half = replace(stored.segments[2], term=0)
    stored.log.store.put(half.name.object_key, [b"half"])
    assert gone(stored) == []


def test_a_gap_after_which_the_log_began_anew_was_told_of() -> None:
    stored = Stored.usual()
    stored.log.end += 1000
    stored.write(db=None)
    assert gone(stored) == []
    (note,) = [one.note for one in findings(stored) if one.note]
    assert "1000 bytes" in note


def test_a_gap_that_a_snapshot_was_taken_for_was_told_of() -> None:
    stored = Stored.usual()
    stored.log.end += 1000
    after = stored.write()
    assert gone(stored) != []
    stored.snapshot(offset=after.end, hours_ago=0, kind=Kind.GAP)
    assert gone(stored) == []


def test_what_is_before_every_snapshot_is_needed_by_none() -> None:
    stored = Stored()
    stored.write()
    stored.log.end += 1000
    after = stored.write()
    stored.snapshot(offset=after.end, hours_ago=1)
    assert gone(stored) == []


@dataclass
class Stored:
    """A store with a log of SETs, and snapshots along it."""

    log: StoredLog = field(default_factory=StoredLog)
    segments: list[Segment] = field(default_factory=list)
    taken: int = 0

    @classmethod
    def usual(cls) -> "Stored":
        """A snapshot where the log begins, five segments, a snapshot in the fourth."""
        stored = cls()
        stored.snapshot(offset=0, hours_ago=2)
        for _ in range(5):
            stored.write()
        stored.snapshot(offset=stored.segments[3].end, hours_ago=1)
        return stored

    def write(self, *, db: int | None = 0, timeline: Timeline | None = None) -> Segment:
        at = MS - 1000 + len(self.segments)
        self.segments.append(self.log.write(SET, db=db, timeline=timeline, at_ms=at))
        return self.segments[-1]

    def snapshot(self, *, offset: int, hours_ago: float, kind: Kind = Kind.SCHEDULED) -> Manifest:
        self.taken += 1
        manifest = made(hours_ago, nonce=self.taken)
        manifest = replace(manifest, replication=ReplicationPoint(A, offset, 0), kind=kind)
        return self.log.snapshot(replace(manifest, stored=content(CONTENT)))

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.log.store.delete(key)


def findings(stored: Stored, *, at_hours: float = 0) -> list[Finding]:
    catalog = replace(stored.log.catalog, wall=lambda: NOW + timedelta(hours=at_hours))
    return list(Verifier(catalog, retention=WINDOW).everything())


def gone(stored: Stored, *, at_hours: float = 0) -> list[str]:
    """Name the objects that are wrong."""
    found: Iterable[Finding] = findings(stored, at_hours=at_hours)
    return [problem.key for one in found for problem in one.problems]


def kept(stored: Stored, orphan: Manifest, *, at_hours: float) -> bool:
    now = NOW + timedelta(hours=at_hours)
    plan = plan_retention(read_holdings(stored.log.catalog), now=now, window=WINDOW)
    (verdict,) = [v for v in plan if v.what is What.HALF and v.name == orphan.id]
    return verdict.keep
