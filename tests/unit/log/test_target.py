"""Which replica is chosen, which segment is the newest, and what a store already holds."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from backup_worker.log.segment import SegmentName, Timeline
from backup_worker.log.target import Target, choose, covered, missing_before, newest
from backup_worker.log.timeline import Gap, NotYet
from backup_worker.replication.source import Candidates
from redis_ha.connection import Address
from tests.unit.log.test_timeline import AT_100, MASTER, SOURCE, A, B

OTHER = replace(SOURCE, address=Address("10.0.0.3", 6381))
FORGETFUL = replace(SOURCE, backlog_start=140)
LAGGING = replace(OTHER, offset=20)


def name(start: int, end: int, *, replid: str = A, ms: int = 0, term: int = 1) -> SegmentName:
    return SegmentName(replid, start, end, ms, term)


def test_the_first_replica_that_can_continue_is_chosen() -> None:
    chosen = choose(AT_100, Candidates(MASTER, (SOURCE, OTHER)))
    assert chosen == Target(SOURCE.address, AT_100)
    chosen = choose(AT_100, Candidates(MASTER, (FORGETFUL, OTHER)))
    assert chosen == Target(OTHER.address, AT_100)


def test_one_to_avoid_is_the_last_choice_and_a_choice() -> None:
    both, alone = Candidates(MASTER, (SOURCE, OTHER)), Candidates(MASTER, (SOURCE,))
    avoid = {SOURCE.address}
    assert choose(AT_100, both, avoid=avoid) == Target(OTHER.address, AT_100)
    assert choose(AT_100, alone, avoid=avoid) == Target(SOURCE.address, AT_100)


def test_it_is_a_gap_only_when_no_replica_can_continue_later() -> None:
    assert isinstance(choose(AT_100, Candidates(MASTER, (FORGETFUL,))), Gap)
    assert isinstance(choose(AT_100, Candidates(MASTER, (FORGETFUL, LAGGING))), NotYet)
    assert isinstance(choose(AT_100, Candidates(MASTER, ())), NotYet)


def test_the_newest_segment_is_that_of_the_highest_term_then_the_latest() -> None:
    old, new = name(1, 900, ms=90, term=1), name(500, 600, ms=60, term=2)
    assert newest([], [new, old]) == new
    assert newest([], []) is None
    assert newest([name(601, 700, ms=70, term=0)], [old, new]).end == 700  # type: ignore[union-attr]
    assert newest([name(1, 100, ms=99, term=0)], [new]) == new
    leapt = name(601, 620, ms=9_000_000, term=2)
    assert newest([], [leapt, after := name(621, 700, ms=61, term=2)]) == after
    forked = name(101, 120, replid=B, ms=80, term=0)
    assert newest([forked], [new]) == forked


ranges = st.tuples(st.integers(1, 30), st.integers(0, 9)).map(lambda p: (p[0], p[0] + p[1]))


@given(ranges, st.lists(ranges, max_size=8))
def test_covered_means_that_each_byte_is_in_another_segment(
    wanted: tuple[int, int], others: list[tuple[int, int]]
) -> None:
    held = {byte for start, end in others for byte in range(start, end + 1)}
    expected = held.issuperset(range(wanted[0], wanted[1] + 1))
    assert covered(name(*wanted), [name(*one) for one in others]) == expected


def test_segments_of_another_timeline_cover_nothing() -> None:
    assert not covered(name(5, 6), [name(1, 9, replid=B)])


def test_a_hole_before_a_segment_is_told() -> None:
    stored = [name(1, 50), name(51, 80)]
    assert missing_before(name(81, 90), Timeline(A), stored) is None
    assert missing_before(name(70, 90), Timeline(A), stored) is None
    assert missing_before(name(81, 90, replid=B), Timeline(B, A, 80), stored) is None
    assert missing_before(name(500, 510), Timeline(A), []) is None
    hole = missing_before(name(90, 99), Timeline(A), stored)
    assert hole is not None
    assert "ends at 80" in hole.reason
    assert missing_before(name(81, 90, replid=B), Timeline(B), stored) is not None
