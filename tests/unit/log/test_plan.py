"""Which snapshot and which pieces of the log lead to a point: tables, and a brute-force model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_worker.errors import PointNotFound
from backup_worker.log.coverage import Gap, coverage
from backup_worker.log.past import Marks
from backup_worker.log.plan import (
    AtOffset,
    AtTime,
    Replay,
    deciding,
    plan_replay,
)
from backup_worker.log.segment import Mark, SegmentName, Timeline
from backup_worker.manifest import Manifest, ReplicationPoint
from tests.unit.backup_worker.snapshots import made

A, B, C, X = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)


def at(second: float) -> AtTime:
    return AtTime(START + timedelta(seconds=second))


def ms(second: float) -> int:
    return START_MS + int(second * 1000)


def segment(replid: str, start: int, end: int, second: float, term: int = 1) -> SegmentName:
    return SegmentName(replid, start, end, ms(second), term)


def snapshot(replid: str, offset: int, second: float = 0) -> Manifest:
    manifest = made(nonce=offset + 1)
    point = ReplicationPoint(replid, offset, 0)
    return replace(manifest, replication=point, taken_at=START + timedelta(seconds=second))


# A runs to 300; B left it at 200, so A's 201 to 300 are a dead branch.
TIMELINES = {A: Timeline(A), B: Timeline(B, A, 200)}
LOG = (
    segment(A, 1, 100, 10),
    segment(A, 101, 200, 20),
    segment(A, 201, 300, 30),
    segment(B, 201, 250, 50),
    segment(B, 251, 400, 60),
)
# Marks each 25 bytes, the last at the end.
MARKS: dict[SegmentName, tuple[Mark, ...]] = {
    LOG[0]: tuple(Mark(offset, ms(offset / 10)) for offset in (25, 50, 75, 100)),
    LOG[1]: tuple(Mark(offset, ms(offset / 10)) for offset in (125, 150, 175, 200)),
    LOG[2]: tuple(Mark(offset, ms(offset / 10)) for offset in (225, 250, 275, 300)),
    LOG[3]: (Mark(225, ms(40)), Mark(250, ms(50))),
    LOG[4]: (Mark(300, ms(53)), Mark(400, ms(60))),
}
SNAPSHOTS = (snapshot(A, 50), snapshot(A, 150), snapshot(B, 260))


def pieces(replay: Replay) -> list[tuple[str, int, int]]:
    return [(one.name.replid[0], one.first, one.last) for one in replay.pieces]


@pytest.mark.parametrize(
    ("target", "base", "expected"),
    [
        (AtOffset(50, A), 50, []),
        (AtOffset(149), 50, [("a", 51, 100), ("a", 101, 149)]),
        (AtOffset(160), 150, [("a", 151, 160)]),
        (AtOffset(210), 150, [("a", 151, 200), ("b", 201, 210)]),
        (AtOffset(210, "aaaa"), 150, [("a", 151, 200), ("a", 201, 210)]),
        (AtOffset(400), 260, [("b", 261, 400)]),
        (AtOffset(260), 260, []),
        (at(15.5), 150, []),
        (at(16), 150, []),
        (at(17.5), 150, [("a", 151, 175)]),
        (at(29), 150, [("a", 151, 200), ("a", 201, 275)]),
        (at(35), 150, [("a", 151, 200), ("a", 201, 300)]),
        (at(41), 150, [("a", 151, 200), ("b", 201, 225)]),
        (at(60), 260, [("b", 261, 400)]),
    ],
)
def test_the_newest_snapshot_before_the_point_and_the_living_branch(
    target: AtOffset | AtTime, base: int, expected: list[tuple[str, int, int]]
) -> None:
    replay = plan_replay(SNAPSHOTS, LOG, TIMELINES, target, marks=MARKS)
    assert replay.base.replication.offset == base
    assert pieces(replay) == expected
    assert replay.size == sum(last - first + 1 for _, first, last in expected)


@pytest.mark.parametrize("hours", [6, -6])
def test_a_clock_that_leapt_for_a_while_moves_no_other_time(hours: int) -> None:
    """Ahead or back: the times before, after and in between are found where they were."""
    leap = range(1000, 1030, 10)
    seconds = [*range(0, 50_000, 10)]
    told = [second + hours * 3600 if second in leap else second for second in seconds]
    log = [segment(A, 10 * n + 1, 10 * n + 10, second + 40_000, 1) for n, second in enumerate(told)]
    for second in (55, 995, 1035, 10_005, 20_000, 49_000):
        target = at(second + 40_000)
        few = deciding(log, {A: Timeline(A)}, target)
        assert len(few) <= 2
        replay = plan_replay((snapshot(A, 5),), log, {A: Timeline(A)}, target)
        assert replay.offset == 10 * (second // 10) + 10


@pytest.mark.parametrize("second", [15.5, 17.5, 29, 35, 41, 60])
def test_few_marks_decide(second: float) -> None:
    names = deciding(LOG, TIMELINES, at(second))
    assert len(names) <= 4
    few = {name: MARKS[name] for name in names}
    whole = plan_replay(SNAPSHOTS, LOG, TIMELINES, at(second), marks=MARKS)
    assert plan_replay(SNAPSHOTS, LOG, TIMELINES, at(second), marks=few) == whole


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        (AtOffset(49), "no snapshot lies before it"),
        (AtOffset(401), "gap"),
        (AtOffset(301, A), "gap"),
        (AtOffset(60, "f"), "none begin"),
        (AtOffset(60, ""), "2 begin"),
        (at(1), "before all"),
        (at(3), "no snapshot"),
        (at(60.001), "holds nothing of that time"),
    ],
)
def test_out_of_range_says_the_ranges(target: AtOffset | AtTime, cause: str) -> None:
    with pytest.raises(PointNotFound, match=cause) as caught:
        plan_replay(SNAPSHOTS, LOG, TIMELINES, target, marks=MARKS)
    said = str(caught.value)
    assert (
        f"2026-11-24T12:00:05.000Z to 2026-11-24T12:01:00.000Z (offsets 50 to 400 of {B[:12]})"
        in said
    )
    assert f"2026-11-24T12:00:30.000Z (offsets 50 to 300 of {A[:12]})" in said
    assert caught.value.exit_code == 3


def test_a_gap_is_bridged_by_no_snapshot_before_it_and_closed_by_one_after_it() -> None:
    log = (LOG[0], LOG[1], LOG[4])
    with pytest.raises(PointNotFound, match="gap"):
        plan_replay(SNAPSHOTS, log, TIMELINES, AtOffset(255), marks=MARKS)
    with pytest.raises(PointNotFound, match="nothing of that time"):
        plan_replay(SNAPSHOTS, log, TIMELINES, at(35), marks=MARKS)
    replay = plan_replay(SNAPSHOTS, log, TIMELINES, at(53), marks=MARKS)
    assert (replay.base.replication.offset, pieces(replay)) == (260, [("b", 261, 300)])
    found = coverage(SNAPSHOTS, log, TIMELINES)
    assert found.gaps == (Gap(B, 201, 250),)
    assert [(one.first, one.last) for one in found.ranges] == [(50, 200), (260, 400)]


def test_a_segment_that_crosses_the_fork_serves_both_timelines() -> None:
    log = (segment(A, 1, 120, 12), segment(B, 121, 300, 30))
    marks = {log[0]: (Mark(120, ms(12)),), log[1]: (Mark(180, ms(18)), Mark(300, ms(30)))}
    bases = (snapshot(A, 50),)
    replay = plan_replay(bases, log, TIMELINES, AtOffset(190, A), marks=marks)
    assert pieces(replay) == [("a", 51, 120), ("b", 121, 190)]
    replay = plan_replay(bases, log, TIMELINES, at(30), marks=marks)
    assert pieces(replay) == [("a", 51, 120), ("b", 121, 300)]
    marked = {name: marks[name] for name in deciding(log, TIMELINES, at(20))}
    assert plan_replay(bases, log, TIMELINES, at(20), marks=marked).offset == 180


def test_without_a_log_a_snapshot_is_its_own_moment() -> None:
    bases = (snapshot(A, 50, 0), snapshot(X, 70, 9))
    assert plan_replay(bases, (), {}, at(9)).base.replication.offset == 70
    assert plan_replay(bases, (), {}, AtOffset(70)).base.replication.offset == 70
    assert plan_replay(bases, (), {}, AtOffset(50, A)).pieces == ()
    with pytest.raises(PointNotFound, match=r"12:00:00.000Z.*; .*12:00:09.000Z"):
        plan_replay(bases, (), {}, at(5))
    with pytest.raises(PointNotFound, match="nothing"):
        plan_replay((), (), {}, AtOffset(1))


def test_an_unrelated_history_begins_after_a_gap_in_time() -> None:
    log = (*LOG, segment(X, 1, 50, 90))
    marks = {**MARKS, log[-1]: (Mark(20, ms(80)), Mark(50, ms(90)))}
    bases = (*SNAPSHOTS, snapshot(X, 10))
    with pytest.raises(PointNotFound, match="nothing of that time"):
        plan_replay(bases, log, TIMELINES, at(70), marks=marks)
    assert pieces(plan_replay(bases, log, TIMELINES, at(85), marks=marks)) == [("d", 11, 20)]
    assert plan_replay(bases, log, TIMELINES, at(50), marks=marks).replid == B


# A model: every byte of every timeline is known, and the plan must reproduce it.
UNIT = 5


@dataclass(frozen=True)
class World:
    timelines: Mapping[str, Timeline]
    # Each timeline's whole history, from offset 1 on: the byte at offset o is history[o - 1].
    history: Mapping[str, str]
    log: tuple[SegmentName, ...]
    snapshots: tuple[Manifest, ...]
    marks: Marks

    def best_base(self, replid: str, offset: int) -> int | None:
        """Try every snapshot: the newest from which each byte up to `offset` is in some segment."""
        wanted = self.history[replid][:offset]
        there = {
            position
            for name in self.log
            for position in range(name.start, name.end + 1)
            if self.history[name.replid][:position] == self.history[replid][:position]
        }
        usable = [
            one.replication.offset
            for one in self.snapshots
            if one.replication.offset <= offset
            and self.history[one.replication.replid][: one.replication.offset]
            == wanted[: one.replication.offset]
            and there.issuperset(range(one.replication.offset + 1, offset + 1))
        ]
        return max(usable, default=None)

    def replayed(self, replay: Replay) -> str:
        point = replay.base.replication
        data = self.history[point.replid][: point.offset]
        for piece in replay.pieces:
            assert piece.first == len(data) + 1
            assert piece.name.start <= piece.first <= piece.last <= piece.name.end
            data += self.history[piece.name.replid][piece.first - 1 : piece.last]
        return data


@st.composite
def worlds(draw: st.DrawFn) -> World:
    replids = [A, B, C, X][: draw(st.integers(1, 4))]
    timelines: dict[str, Timeline] = {}
    history: dict[str, str] = {}
    log, marks, snapshots = [], {}, []
    clock = 0
    for index, replid in enumerate(replids):
        parent = draw(st.sampled_from([None, *replids[:index]]))
        fork = draw(st.integers(1, len(history[parent]) // UNIT)) * UNIT if parent else None
        timelines[replid] = Timeline(replid, parent, fork)
        shared = history[parent][:fork] if parent else ""
        own = draw(st.integers(1, 8)) * UNIT
        history[replid] = shared + replid[0] * own
        units = len(history[replid]) // UNIT
        # The follower may come late to a timeline, and name bytes of its parent by it.
        lowest = draw(st.integers(0, units - 1))
        for _ in range(draw(st.integers(0, 4))):
            first = draw(st.integers(lowest, units - 1))
            last = draw(st.integers(first, units - 1))
            clock += 10
            name = segment(replid, first * UNIT + 1, (last + 1) * UNIT, clock, len(log))
            log.append(name)
            inside = range(first + 1, last + 2)
            # Within a segment time goes by evenly, up to its last mark.
            marks[name] = tuple(
                Mark(unit * UNIT, ms(clock - (last + 1 - unit) / 10)) for unit in inside
            )
        offsets = draw(st.lists(st.integers(1, units), max_size=2))
        snapshots += [snapshot(replid, unit * UNIT, 0.5) for unit in offsets]
    return World(timelines, history, tuple(log), tuple(snapshots), marks)


@settings(max_examples=400)
@given(worlds(), st.data())
def test_an_offset_is_reached_exactly_when_the_model_reaches_it(
    world: World, data: st.DataObject
) -> None:
    replid = data.draw(st.sampled_from(sorted(world.history)))
    offset = data.draw(st.integers(1, len(world.history[replid])))
    expected = world.best_base(replid, offset)
    target = AtOffset(offset, replid)
    try:
        replay = plan_replay(world.snapshots, world.log, world.timelines, target)
    except PointNotFound:
        assert expected is None
        return
    assert replay.base.replication.offset == expected
    assert world.replayed(replay) == world.history[replid][:offset]


@settings(max_examples=300)
@given(worlds(), st.data())
def test_a_time_is_cut_at_the_last_mark_before_it_and_needs_few_marks(
    world: World, data: st.DataObject
) -> None:
    target = at(data.draw(st.integers(0, 10 * (len(world.log) + 1))))
    names = deciding(world.log, world.timelines, target)
    few = {name: world.marks[name] for name in names}
    try:
        replay = plan_replay(world.snapshots, world.log, world.timelines, target, marks=world.marks)
    except PointNotFound:
        with pytest.raises(PointNotFound):
            plan_replay(world.snapshots, world.log, world.timelines, target, marks=few)
        return
    assert plan_replay(world.snapshots, world.log, world.timelines, target, marks=few) == replay
    assert world.replayed(replay) == world.history[replay.replid][: replay.offset]
    times = {
        mark.time_ms
        for name, marks in world.marks.items()
        for mark in marks
        if mark.offset == replay.offset
        and world.history[name.replid][: mark.offset] == world.history[replay.replid][: mark.offset]
    }
    assert any(time <= target.ms for time in times)


@settings(max_examples=200)
@given(worlds())
def test_the_ranges_are_what_can_be_restored(world: World) -> None:
    found = coverage(world.snapshots, world.log, world.timelines, marks=world.marks)
    for replid, history in world.history.items():
        for offset in range(UNIT, len(history) + 1, UNIT):
            named = any(
                one.first <= offset <= one.last
                and world.history[one.replid][:offset] == history[:offset]
                for one in found.ranges
            )
            assert named == (world.best_base(replid, offset) is not None)
