"""Where the log goes on after whatever the cluster did, case by case."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.log.segment import Timeline
from backup_worker.log.timeline import Gap, GoOn, NotYet, Position, decide, fresh
from redis_ha.connection import Address
from redis_ha.discovery import NodeView

A, B, C = "a" * 40, "b" * 40, "c" * 40
NOBODY = "0" * 40
AT_100 = Position(Timeline(A), 100, db=3, time_ms=7)
MASTER = NodeView(
    Address("10.0.0.1", 6379), role="master", offset=150, replid=A, replid2=NOBODY, backlog_start=1
)
SOURCE = replace(MASTER, address=Address("10.0.0.2", 6380), role="slave")


def promoted(fork: int, *, offset: int = 150) -> NodeView:
    """Return a master that was promoted when it had applied A up to `fork`."""
    return replace(MASTER, replid=B, replid2=A, second_offset=fork + 1, offset=offset)


def follows(master: NodeView, **changes: object) -> NodeView:
    """Return a replica of a master; its own word on the fork must not count."""
    view = replace(SOURCE, replid=master.replid, replid2=C, second_offset=13, offset=master.offset)
    return replace(view, **changes)  # type: ignore[arg-type]


def test_on_the_same_timeline_it_goes_on_where_it_was() -> None:
    assert decide(AT_100, SOURCE, MASTER) == GoOn(AT_100)


@pytest.mark.parametrize("fork", [100, 101, 140])
def test_a_fork_ahead_changes_the_name_only(fork: int) -> None:
    master = promoted(fork)
    crossed = Position(Timeline(B, A, fork), 100, db=3, time_ms=7)
    assert decide(AT_100, follows(master), master) == GoOn(crossed)


@pytest.mark.parametrize("fork", [1, 50, 99])
def test_beyond_a_fork_lies_a_dead_branch(fork: int) -> None:
    master = promoted(fork)
    crossed = Position(Timeline(B, A, fork), fork, db=None, time_ms=7)
    assert decide(AT_100, follows(master), master) == GoOn(crossed, dead=100 - fork)


def test_a_replica_that_is_still_on_the_old_timeline_is_waited_for() -> None:
    assert isinstance(decide(AT_100, SOURCE, promoted(120)), NotYet)


def test_a_replica_that_lags_is_waited_for() -> None:
    assert isinstance(decide(AT_100, replace(SOURCE, offset=99), MASTER), NotYet)
    assert decide(AT_100, replace(SOURCE, offset=100), MASTER) == GoOn(AT_100)


def test_a_backlog_that_begins_later_is_a_gap_at_this_replica_only() -> None:
    assert decide(AT_100, replace(SOURCE, backlog_start=101), MASTER) == GoOn(AT_100)
    for start in (102, None):
        gap = decide(AT_100, replace(SOURCE, backlog_start=start), MASTER)
        assert isinstance(gap, Gap)
        assert gap.lost == AT_100
        assert not gap.everywhere


def test_a_dead_branch_needs_the_backlog_from_the_fork_on() -> None:
    master = promoted(50)
    assert isinstance(decide(AT_100, follows(master, backlog_start=52), master), Gap)
    assert isinstance(decide(AT_100, follows(master, backlog_start=51), master), GoOn)


@pytest.mark.parametrize(
    "master",
    [
        replace(MASTER, replid=B, replid2=C, second_offset=120),
        replace(MASTER, replid=B),
        replace(MASTER, offset=99),
    ],
)
def test_a_history_that_is_not_ours_is_a_gap_everywhere(master: NodeView) -> None:
    gap = decide(AT_100, follows(master), master)
    assert isinstance(gap, Gap)
    assert gap.everywhere


def test_a_fresh_log_begins_at_what_the_replica_holds() -> None:
    assert fresh(replace(SOURCE, offset=140), MASTER) == GoOn(Position(Timeline(A), 140))
    master = promoted(50)
    assert fresh(follows(master), master) == GoOn(Position(Timeline(B, A, 50), 150))
    assert isinstance(fresh(SOURCE, master), NotYet)


replids = st.sampled_from([A, B, C, NOBODY])
offsets = st.integers(0, 30)
views = st.builds(
    NodeView,
    address=st.just(SOURCE.address),
    role=st.just("slave"),
    offset=offsets,
    replid=replids,
    replid2=replids,
    second_offset=st.integers(-1, 30),
    backlog_start=st.one_of(st.none(), st.integers(1, 31)),
)


@given(st.builds(Position, st.just(Timeline(A)), offsets), views, views)
def test_what_is_asked_for_is_served_and_equal_up_to_there(
    position: Position, source: NodeView, master: NodeView
) -> None:
    step = decide(position, source, master)
    if not isinstance(step, GoOn):
        assert step.reason
        return
    asked = step.position
    assert asked.timeline.replid == source.replid == master.replid
    assert source.backlog_start is not None
    assert source.backlog_start <= asked.offset + 1 <= source.offset + 1
    assert asked.offset == position.offset - step.dead
    if asked.timeline.replid != A:
        assert (asked.timeline.parent, asked.timeline.fork) == (A, master.second_offset - 1)
        assert asked.offset <= master.second_offset - 1
    else:
        assert not step.dead
