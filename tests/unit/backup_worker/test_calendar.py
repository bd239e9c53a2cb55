"""Which date the retention goes by when the wall clock jumps."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.calendar import Moment, cautious, leap
from tests.unit.backup_worker.snapshots import NOW

BEGIN = Moment(NOW, 1000.0)
HOUR = timedelta(hours=1)


def later(*, passed: timedelta, jump: timedelta = timedelta()) -> Moment:
    return Moment(NOW + passed + jump, 1000.0 + passed.total_seconds())


@pytest.mark.parametrize("jump", [timedelta(), -30 * 24 * HOUR, 30 * 24 * HOUR])
def test_a_jump_is_what_the_time_that_passed_does_not_explain(jump: timedelta) -> None:
    assert leap(BEGIN, later(passed=5 * HOUR, jump=jump)) == jump


def test_a_clock_that_leapt_ahead_is_not_followed_until_it_is_right_again() -> None:
    assert cautious(BEGIN, later(passed=HOUR, jump=700 * HOUR)) == NOW + HOUR
    assert cautious(BEGIN, later(passed=2 * HOUR)) == NOW + 2 * HOUR


def test_a_clock_that_was_set_back_is_followed_since_that_deletes_less() -> None:
    assert cautious(BEGIN, later(passed=HOUR, jump=-3 * HOUR)) == NOW - 2 * HOUR


@given(st.integers(0, 10**6), st.integers(-(10**8), 10**8))
def test_it_is_never_ahead_of_either_clock(passed: int, jump: int) -> None:
    now = later(passed=timedelta(seconds=passed), jump=timedelta(seconds=jump))
    assert cautious(BEGIN, now) == min(now.wall, NOW + timedelta(seconds=passed))
