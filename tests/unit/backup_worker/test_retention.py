"""What stays and what goes, with the reason."""

import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.catalog import Entry, Listing
from backup_worker.holdings import Holdings
from backup_worker.log.catalog import LogListing, pair_up
from backup_worker.log.lineage import Forest
from backup_worker.log.plan import AtOffset, plan_replay
from backup_worker.log.segment import SegmentName, Timeline
from backup_worker.manifest import Kind, ReplicationPoint
from backup_worker.retention import Allowance, Verdict, What, plan_retention, snapshot_keys
from backup_worker.store.contract import StoredObject
from tests.unit.backup_worker.snapshots import NOW, made, proof_of

WINDOW = timedelta(hours=168)
A, B, C = "a" * 40, "b" * 40, "c" * 40


def entry(
    hours_ago: float,
    *,
    good: bool = True,
    proven: bool | None = None,
    kind: Kind = Kind.SCHEDULED,
    nonce: int = 1,
    point: tuple[str, int] = (A, 553),
) -> Entry:
    manifest = replace(
        made(hours_ago, nonce=nonce), kind=kind, replication=ReplicationPoint(*point, 0)
    )
    if not good:
        return Entry(manifest.id, manifest.taken_at, manifest.stored.size, problem="bad")
    proof = None if proven is None else proof_of(manifest, proven=proven)
    return Entry(manifest.id, manifest.taken_at, manifest.stored.size, manifest, proof=proof)


def segment(replid: str, start: int, end: int, *, hours_ago: float, term: int = 1) -> SegmentName:
    moment = NOW - timedelta(hours=hours_ago)
    return SegmentName(replid, start, end, int(moment.timestamp() * 1000), term)


def holdings(
    *entries: Entry,
    orphans: Sequence[Entry] = (),
    names: Sequence[SegmentName] = (),
    halves: Sequence[str] = (),
    timelines: Mapping[str, Timeline] | None = None,
    leases: Sequence[int] = (),
) -> Holdings:
    ordered = sorted(entries, key=lambda e: e.taken_at, reverse=True)
    known = {name.replid: Timeline(name.replid) for name in names}
    return Holdings(
        Listing(tuple(ordered), tuple(orphans)),
        LogListing(tuple(sorted(names)), tuple(halves)),
        known if timelines is None else timelines,
        tuple(leases),
    )


def plan(held: Holdings, *, now: datetime = NOW) -> list[Verdict]:
    return plan_retention(held, now=now, window=WINDOW)


def fates(held: Holdings) -> dict[str, bool]:
    return {verdict.name: verdict.keep for verdict in plan(held)}


def reasons(held: Holdings) -> dict[str, str]:
    return {verdict.name: verdict.reason for verdict in plan(held)}


def test_what_is_older_than_the_window_goes() -> None:
    keep, edge, gone = entry(1), entry(168), entry(168.1)
    verdicts = plan(holdings(gone, edge, keep))
    assert [(v.name, v.keep, v.reason) for v in verdicts] == [
        (keep.id, True, "last good snapshot"),
        (edge.id, True, "younger than 2026-11-17 08:30"),
        (gone.id, False, "older than 2026-11-17 08:30"),
    ]
    assert verdicts[2].what is What.SNAPSHOT
    assert [key.rpartition("/")[2] for key in verdicts[2].keys] == [
        "manifest.json",
        "proof.json",
        "contents.json.zst.age",
        "dump.rdb.zst.age",
    ]


def test_the_last_good_snapshot_stays_whatever_its_age() -> None:
    only, older = entry(5000), entry(6000)
    assert fates(holdings(only, older)) == {only.id: True, older.id: False}


def test_the_last_proven_one_stays_beside_a_newer_one_that_is_not() -> None:
    newer, proven, before = entry(300), entry(400, proven=True), entry(500, proven=True)
    held = holdings(newer, proven, before)
    assert fates(held) == {newer.id: True, proven.id: True, before.id: False}
    assert reasons(held)[proven.id] == "last proven snapshot"


def test_neither_failed_nor_bad_nor_safety_ones_take_its_place() -> None:
    good = entry(400)
    failed, bad = entry(300, proven=False), entry(200, good=False)
    safety = entry(250, kind=Kind.SAFETY, proven=True)
    kept = [name for name, keep in fates(holdings(good, failed, bad, safety)).items() if keep]
    assert kept == [good.id]


def test_one_of_the_future_stays_and_takes_nobody_s_place() -> None:
    ahead, good, old = replace(entry(-500, proven=True), ahead=True), entry(300), entry(400)
    assert fates(holdings(ahead, good, old)) == {ahead.id: True, good.id: True, old.id: False}


def test_an_allowance_lets_the_oldest_go_and_what_an_earlier_plan_let_go() -> None:
    entries = [entry(1), *(entry(hours) for hours in (200, 300, 400, 500))]
    held = holdings(*entries, names=[segment(A, 1, 100, hours_ago=350)])
    before = frozenset({entries[4].id})
    verdicts = plan_retention(
        held, now=NOW, window=WINDOW, allowance=Allowance(more=2, before=before)
    )
    assert [verdict.keep for verdict in verdicts] == [True, True, False, False, False, False]
    assert verdicts[1].reason == "its turn comes later: 2 snapshots a round"
    none = plan_retention(held, now=NOW, window=WINDOW, allowance=Allowance(more=0))
    assert all(verdict.keep for verdict in none)


def test_a_safety_snapshot_stays_for_the_window() -> None:
    good, young, old = entry(1), entry(167, kind=Kind.SAFETY), entry(169, kind=Kind.SAFETY)
    assert fates(holdings(good, young, old)) == {good.id: True, young.id: True, old.id: False}


def test_the_last_one_stays_even_if_it_is_a_safety_snapshot() -> None:
    safety, bad = entry(400, kind=Kind.SAFETY), entry(300, good=False)
    assert fates(holdings(safety, bad)) == {safety.id: True, bad.id: False}


def test_nothing_goes_while_nothing_is_good() -> None:
    name = segment(A, 1, 100, hours_ago=1000)
    held = holdings(entry(300, good=False), entry(400, good=False), names=[name])
    assert all(v.keep and v.reason == "there is no good snapshot" for v in plan(held))


def test_an_unfinished_transfer_goes_after_a_day() -> None:
    young, old = entry(23, good=False), entry(25, good=False)
    verdicts = plan(holdings(orphans=(young, old)))
    assert [(v.what, v.keep) for v in verdicts] == [(What.HALF, True), (What.HALF, False)]
    assert verdicts[1].keys == snapshot_keys(old.id)


def test_the_log_before_the_oldest_kept_snapshot_goes() -> None:
    base = entry(100, point=(A, 500))
    whole = segment(A, 1, 500, hours_ago=101)
    across = segment(A, 401, 501, hours_ago=100.5)
    after = segment(A, 501, 900, hours_ago=99)
    verdicts = plan(holdings(entry(1, point=(A, 2000)), base, names=[whole, across, after]))
    told = {v.name: (v.keep, v.reason) for v in verdicts if v.what is What.SEGMENT}
    assert told == {
        whole.stem: (False, "before the oldest snapshot that stays, of 2026-11-20 04:30"),
        across.stem: (True, "follows on a snapshot that stays"),
        after.stem: (True, "follows on a snapshot that stays"),
    }
    gone = next(v for v in verdicts if not v.keep)
    assert gone.keys == (whole.manifest_key, whole.object_key)


def test_a_clock_that_jumped_takes_no_segment_that_is_needed() -> None:
    base = entry(100, point=(A, 500))
    stamped_too_early = segment(A, 501, 900, hours_ago=5000)
    stamped_too_late = segment(A, 1, 400, hours_ago=-50)
    held = holdings(base, names=[stamped_too_early, stamped_too_late])
    assert fates(held) == {base.id: True, stamped_too_early.stem: True, stamped_too_late.stem: True}


def test_the_last_proven_snapshot_keeps_its_log() -> None:
    proven = entry(1000, proven=True, point=(A, 500))
    between = segment(A, 501, 900, hours_ago=900)
    held = holdings(entry(1, point=(A, 5000)), proven, names=[between])
    assert fates(held)[between.stem]


@pytest.mark.parametrize(
    ("base", "name", "keep"),
    [
        ((A, 500), segment(B, 1001, 1200, hours_ago=600), True),  # behind the fork, from before it
        ((A, 500), segment(A, 501, 1000, hours_ago=600), True),
        ((B, 1100), segment(A, 501, 1000, hours_ago=600), False),  # all of it before the snapshot
        ((B, 1100), segment(A, 1001, 1200, hours_ago=600), False),  # a dead branch
        ((A, 1100), segment(B, 1001, 1200, hours_ago=600), False),  # base on the dead branch
        ((A, 1100), segment(A, 1001, 1200, hours_ago=600), True),
        ((B, 900), segment(A, 801, 1000, hours_ago=600), True),  # a point that A has as well
        ((B, 900), segment(C, 801, 1000, hours_ago=600), False),  # another history altogether
    ],
)
def test_a_fork_decides_what_is_needed(
    base: tuple[str, int], name: SegmentName, keep: bool
) -> None:
    timelines = {A: Timeline(A), B: Timeline(B, A, 1000), C: Timeline(C)}
    held = holdings(entry(100, point=base), names=[name], timelines=timelines)
    assert fates(held)[name.stem] is keep


def test_a_segment_whose_history_cannot_be_read_has_the_window() -> None:
    young, old = segment(C, 1, 9, hours_ago=167), segment(C, 1, 9, hours_ago=169)
    held = holdings(entry(1), names=[young, old], timelines={})
    assert reasons(held)[young.stem] == "its place in history can't be read"
    assert (fates(held)[young.stem], fates(held)[old.stem]) == (True, False)
    assert fates(holdings(entry(200), names=[old], timelines={}))[old.stem]
    assert fates(holdings(entry(1, good=False), names=[old], timelines={}))[old.stem]


def test_a_snapshot_that_cannot_be_read_keeps_the_log_after_it() -> None:
    """After a rotation of the signing key: operators may trust the old one still."""
    new, old, gone = entry(1, point=(A, 900)), entry(100, good=False), entry(200, good=False)
    before, after = segment(A, 1, 100, hours_ago=101), segment(A, 101, 200, hours_ago=99)
    held = holdings(new, old, gone, names=[before, after])
    assert (fates(held)[before.stem], fates(held)[after.stem]) == (False, True)


def test_half_a_segment_goes_once_a_later_one_is_whole_and_a_day_has_passed() -> None:
    old, young = segment(A, 1, 9, hours_ago=30), segment(A, 10, 19, hours_ago=20)
    whole = segment(A, 20, 29, hours_ago=10)
    halves = [old.object_key, young.object_key]
    assert fates(holdings(entry(1), names=[whole], halves=halves)) == {
        entry(1).id: True,
        whole.stem: False,
        old.object_key: False,
        young.object_key: True,
    }
    assert fates(holdings(entry(1), halves=halves))[old.object_key]
    before = segment(A, 20, 29, hours_ago=10, term=0)
    assert fates(holdings(entry(1), names=[before], halves=halves))[old.object_key]


def test_the_last_ten_lease_terms_stay() -> None:
    verdicts = plan(holdings(entry(1), leases=range(1, 13)))[1:]
    assert [v.keep for v in verdicts] == [False, False] + [True] * 10
    assert verdicts[0].keys == ("lease/0000000001.json",)
    assert verdicts[0].what is What.LEASE


@given(st.lists(st.tuples(st.floats(-100, 1000), st.booleans(), st.booleans()), max_size=20))
def test_every_snapshot_gets_one_verdict_and_a_good_one_survives(
    drawn: list[tuple[float, bool, bool]],
) -> None:
    entries = [
        entry(age, good=good, proven=proven or None, nonce=n)
        for n, (age, good, proven) in enumerate(drawn)
    ]
    verdicts = plan(holdings(*entries))
    assert sorted(v.name for v in verdicts) == sorted(e.id for e in entries)
    kept = {v.name for v in verdicts if v.keep}
    for wanted in ([e for e in entries if e.good], [e for e in entries if e.proven]):
        assert not wanted or any(e.id in kept for e in wanted)
    for e in entries:
        assert e.id in kept or e.taken_at < NOW - WINDOW


@given(data=st.data())
def test_every_point_that_a_kept_snapshot_reaches_stays_reachable(data: st.DataObject) -> None:
    """The plan of a restore from any kept snapshot is the same before and after pruning."""
    fork = data.draw(st.integers(300, 700))
    timelines = {A: Timeline(A), B: Timeline(B, A, fork)}
    size = data.draw(st.integers(40, 150))
    names = [
        segment(A, start, start + size - 1, hours_ago=1000 - start)
        for start in range(1, fork + 200, size)
    ] + [
        segment(B, start, start + size - 1, hours_ago=1000 - start - fork % 7)
        for start in range(fork + 1, 1000, size)
    ]
    offsets = data.draw(st.lists(st.integers(1, 999), min_size=1, max_size=6, unique=True))
    snapshots = [
        entry(1000 - x, point=(A if x <= fork else B, x), nonce=n) for n, x in enumerate(offsets)
    ]
    held = holdings(*snapshots, names=names, timelines=timelines)
    fate = fates(held)
    bases = [e.manifest for e in snapshots if e.manifest is not None and fate[e.id]]
    left = [name for name in names if fate[name.stem]]
    oldest = min(base.replication.offset for base in bases)
    target = AtOffset(data.draw(st.integers(oldest, names[-1].end)), B)
    before = plan_replay(bases, names, timelines, target)
    assert plan_replay(bases, left, timelines, target) == before
    assert Forest(timelines).owner(B, fork) == A


def test_a_million_segments_fit_into_a_small_machine() -> None:
    """A listing and its plan take some 240 bytes a segment; a day of log may have 10,000."""
    count, base = 20_000, entry(1)
    tracemalloc.start()
    try:
        listing = pair_up(
            StoredObject(key, 1)
            for start in range(count)
            for key in (
                f"log/{A}/{start:016d}-{start:016d}.{start:013d}.0000000001.json",
                f"log/{A}/{start:016d}-{start:016d}.{start:013d}.0000000001.zst.age",
            )
        )
        held = Holdings(Listing((base,), ()), listing, {A: Timeline(A)}, ())
        verdicts = plan(held)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(verdicts) == count + 1
    assert peak / count < 350
