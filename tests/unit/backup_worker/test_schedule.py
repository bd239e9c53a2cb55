"""When a snapshot is due, how long a failure waits, and what the health file says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.schedule import Standing, health_line, pause_after, seconds_until_due

HOUR = 3600.0
ages = st.none() | st.floats(-1e9, 1e9)


@pytest.mark.parametrize(
    ("since_own", "wall_age", "due"),
    [
        (None, None, 0),  # an empty store
        (None, 600, 3000),  # a restart ten minutes after a snapshot
        (None, 7200, 0),  # a restart after a long pause
        (600, 600, 3000),
        (3000, 60, 3540),  # someone took one by hand a minute ago
        (600, -86400, 3000),  # the wall clock went back a day
        (None, -86400, 0),
        (600, 86400, 3000),  # the wall clock leapt ahead
        (3600, 3600, 0),
    ],
)
def test_due_times(since_own: float | None, wall_age: float | None, due: float) -> None:
    found = seconds_until_due(interval=HOUR, since_own=since_own, wall_age=wall_age)
    assert found == due


@given(since_own=ages, wall_age=ages)
def test_no_clock_delays_a_snapshot_by_more_than_an_interval(
    since_own: float | None, wall_age: float | None
) -> None:
    found = seconds_until_due(interval=HOUR, since_own=since_own, wall_age=wall_age)
    assert 0 <= found <= HOUR


def test_pauses_double_up_to_five_minutes() -> None:
    pauses = [pause_after(failures, interval=HOUR) for failures in (1, 2, 3, 8, 9, 10_000)]
    assert pauses == [2, 4, 8, 256, 300, 300]


def test_a_pause_is_never_longer_than_the_interval() -> None:
    assert pause_after(9, interval=10) == 10


@pytest.mark.parametrize(
    ("standing", "now", "line"),
    [
        (Standing(), 0, "no snapshot yet: the first is under way"),
        (Standing(problem="no master"), 0, "no snapshot yet: no master"),
        (Standing("s1", 0), 600, "ok last snapshot s1, 10 min ago"),
        (
            Standing("s1", 0, "no master"),
            600,
            "ok last snapshot s1, 10 min ago; the next failed: no master",
        ),
        (
            Standing("s1", 0, "no master"),
            4560,
            "overdue: last snapshot s1, 76 min ago; the next failed: no master",
        ),
        (Standing("s1", 0, seconds=20.0), 4560, "ok last snapshot s1, 76 min ago"),
    ],
)
def test_the_health_line_begins_with_ok_while_a_snapshot_is_fresh(
    standing: Standing, now: float, line: str
) -> None:
    assert health_line(standing, now=now, interval=HOUR) == line
