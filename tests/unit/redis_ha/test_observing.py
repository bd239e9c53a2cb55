"""What repeated looks add up to: outages and failovers, counted once and never backwards."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from redis_ha.observing import Course, Failover, Sight, advance, sight, writable_masters
from redis_ha.survey import Survey
from tests.unit.redis_ha.surveys import HEALTHY, A, B, dead, silent, with_node, with_sentinel


def fold(*sights: Sight) -> Course:
    return reduce(advance, sights, Course())


def promoted(survey: Survey) -> Survey:
    """Let redis-1 be gone and redis-2 be the master of all, by a failover with epoch 3."""
    survey = with_node(dead(survey, 0), 1, view_role="master", view_master=None)
    for number in range(3):
        survey = with_sentinel(survey, number, view_master=B, epoch=3)
    return survey


def test_a_survey_shows_the_master_only_when_it_is_the_only_one_and_named() -> None:
    assert sight(HEALTHY, 5.0) == Sight(5.0, "redis-1", 2)
    assert sight(dead(HEALTHY, 0), 5.0) == Sight(5.0)
    assert sight(silent(silent(HEALTHY, 0), 1), 5.0) == Sight(5.0)
    assert sight(with_node(HEALTHY, 1, view_role="master"), 5.0) == Sight(5.0)
    assert sight(promoted(HEALTHY), 6.0) == Sight(6.0, "redis-2", 3)


def test_a_master_without_the_replicas_that_writes_need_takes_none() -> None:
    assert [node.address for node in writable_masters(HEALTHY)] == [A]
    fenced = with_node(HEALTHY, 0, view_fenced=True, info_min_slaves_good_slaves=0)
    assert writable_masters(fenced) == ()
    assert sight(fenced, 1.0).master is None
    enough = with_node(HEALTHY, 0, view_fenced=True, info_min_slaves_good_slaves=1)
    assert [node.address for node in writable_masters(enough)] == [A]


def test_a_crash_is_one_outage_and_one_failover() -> None:
    course = fold(
        Sight(10.0, "redis-1", 2), Sight(11.0), Sight(12.5), Sight(13.0, "redis-2", 3),
        Sight(14.0, "redis-2", 3),
    )  # fmt: skip
    assert course.last == Failover(13.0, "redis-1", "redis-2", 3, 2.0)
    assert (course.failovers, course.outage_seconds, course.down_since) == (1, 2.0, None)


def test_a_switchover_between_two_looks_has_no_outage() -> None:
    course = fold(Sight(1.0, "redis-1", 2), Sight(2.0, "redis-2", 3))
    assert (course.failovers, course.outage_seconds) == (1, 0.0)
    assert course.last == Failover(2.0, "redis-1", "redis-2", 3)


def test_an_outage_that_ends_with_the_same_master_is_no_failover() -> None:
    course = fold(Sight(1.0, "redis-1", 2), Sight(2.0), Sight(5.0, "redis-1", 2))
    assert (course.failovers, course.last, course.outage_seconds) == (0, None, 3.0)


def test_there_and_back_between_two_looks_is_seen_by_the_epoch() -> None:
    course = fold(Sight(1.0, "redis-1", 2), Sight(2.0, "redis-1", 4))
    assert course.failovers == 1


def test_a_watch_that_begins_in_an_outage_claims_no_failover() -> None:
    course = fold(Sight(1.0), Sight(2.0), Sight(3.0, "redis-2", 7))
    assert (course.failovers, course.outage_seconds) == (0, 2.0)
    assert fold(Sight(1.0), Sight(2.0)).down_since == 1.0


SIGHTS = st.lists(
    st.tuples(
        st.floats(0.01, 5.0), st.sampled_from([None, "redis-1", "redis-2"]), st.integers(0, 3)
    ),
    max_size=40,
)


@given(SIGHTS)
def test_counts_never_fall_and_outages_never_exceed_the_time_watched(
    steps: list[tuple[float, str | None, int]],
) -> None:
    at, course = 100.0, Course()
    for seconds, master, epoch in steps:
        at += seconds
        after = advance(course, Sight(at, master, epoch if master else 0))
        assert after.failovers - course.failovers in (0, 1)
        assert (after.last != course.last) == (after.failovers > course.failovers)
        assert course.outage_seconds <= after.outage_seconds <= at - 100.0
        assert (after.down_since is None) == (master is not None)
        course = after
