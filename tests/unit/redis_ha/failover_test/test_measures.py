"""What records amount to: gaps, overlaps, promotions."""

from dataclasses import replace
from itertools import pairwise

import pytest

from redis_ha.failover_test.measures import (
    Span,
    blind_seconds,
    epochs,
    longest_gap,
    outage,
    outages,
    overlaps,
    promotions,
    stretches,
    writable_spans,
)
from redis_ha.failover_test.records import HEALTHY, ClientRecord, WriterRecord
from tests.unit.redis_ha.failover_test.runs import (
    FAULT,
    crash,
    samples,
    silenced,
    times,
    with_nodes,
)


def test_a_gap_that_began_before_the_fault_counts() -> None:
    assert longest_gap([1.0, 2.0, 9.0, 9.5], since=3.0, until=10.0) == Span(2.0, 9.0)


def test_a_gap_that_ended_before_the_fault_does_not() -> None:
    assert longest_gap([0.0, 8.0, 9.0, 9.5], since=8.5, until=10.0) == Span(8.0, 9.0)


def test_a_writer_that_never_came_back_was_out_to_the_end() -> None:
    assert longest_gap([1.0, 2.0], since=1.5, until=60.0) == Span(2.0, 60.0)


def test_the_outage_is_that_of_the_writer_who_waited_longest() -> None:
    quick = WriterRecord((1, 2), (1.0, 1.1))
    slow = WriterRecord((1, 2), (1.0, 3.0))
    found = outage(ClientRecord("any", (quick, slow)), since=1.0, until=3.0)
    assert found == Span(1.0, 3.0)


def test_outages_of_a_run_are_by_kind() -> None:
    found = outages(crash(back_after=2.2), since=FAULT)
    assert {kind: round(span.seconds, 1) for kind, span in found.items()} == {
        "redis-ha": 2.2,
        "redis-py": 3.0,
    }


def test_a_run_without_a_write_after_the_fault_lasts_to_its_last_mark() -> None:
    run = silenced()
    found = outages(run, since=FAULT)
    assert {span.end for span in found.values()} == {run.marks[HEALTHY]}
    assert min(span.seconds for span in found.values()) > 10.0


def test_stretches_join_equal_states_without_a_hole() -> None:
    found = stretches(samples((0, 1, "master"), (1, 2, "silent"), (2, 3, "replica")))
    assert [stretch.state for stretch in found] == ["master", "silent", "replica"]
    assert all(a.end == b.begin for a, b in pairwise(found))


def test_one_master_after_the_other_is_no_overlap() -> None:
    assert overlaps(writable_spans(crash())) == []


def test_two_nodes_that_take_writes_at_once_overlap() -> None:
    run = with_nodes(crash(), redis_1=samples((97, 103.5, "master"), (103.5, 112, "replica")))
    (span,) = overlaps(writable_spans(run))
    assert span.begin == pytest.approx(102.0, abs=0.05)
    assert span.end == pytest.approx(103.5, abs=0.05)


def test_a_master_that_refuses_writes_does_not_overlap() -> None:
    run = with_nodes(crash(), redis_1=samples((97, 101, "master"), (101, 112, "refusing")))
    assert overlaps(writable_spans(run)) == []


def test_what_a_client_inside_could_write_counts_for_its_node() -> None:
    moments = tuple(times(99, 104))
    inside = ClientRecord("inside", (WriterRecord(tuple(range(len(moments))), moments),))
    (span,) = overlaps(writable_spans(replace(crash(), inside=inside)))
    assert span.seconds == pytest.approx(2.0, abs=0.05)


def test_a_promotion_is_a_replica_that_becomes_master() -> None:
    seen = promotions(crash())
    assert [name for _, name in seen] == ["redis-2"]
    assert seen[0][0] == pytest.approx(102.0)


def test_a_second_promotion_is_seen_through_a_silence() -> None:
    run = with_nodes(
        crash(),
        redis_3=samples((97, 104, "replica"), (104, 105, "silent"), (105, 112, "master")),
    )
    assert [name for _, name in promotions(run)] == ["redis-2", "redis-3"]


def test_epochs_are_counted_from_what_sentinels_said() -> None:
    assert epochs(crash()) == 1


def test_a_stall_of_the_test_itself_is_seen_on_a_node_that_is_well() -> None:
    assert blind_seconds(crash()) == pytest.approx(0.02, abs=0.001)
    stalled = with_nodes(crash(), redis_3=samples((97, 101, "replica"), (101.7, 112, "replica")))
    assert blind_seconds(stalled) == pytest.approx(0.72, abs=0.01)
