"""When a clock was set back."""

from node.clock import Clock


def test_time_that_passes_is_no_jump() -> None:
    clock = Clock(1000.0, 5.0)
    assert not any(clock.was_set_back(1000.0 + s, 5.0 + s) for s in range(100))


def test_a_clock_that_is_set_back_is_seen_once() -> None:
    clock = Clock(4600.0, 5.0)
    assert clock.was_set_back(1001.0, 6.0)
    assert not clock.was_set_back(1002.0, 7.0)


def test_one_that_is_set_forward_is_not_set_back() -> None:
    clock = Clock(1000.0, 5.0)
    assert not clock.was_set_back(4601.0, 6.0)
    assert clock.was_set_back(1002.0, 7.0)


def test_a_clock_that_slews_is_left_alone() -> None:
    clock = Clock(1000.0, 5.0)
    assert not any(clock.was_set_back(1000.0 + 0.5 * s, 5.0 + s) for s in range(100))
