"""When a node has Redis write an append-only file anew that a full disk broke."""

from node.appended import BrokenLog

WELL = {
    "aof_last_write_status": "ok",
    "aof_last_bgrewrite_status": "ok",
    "aof_rewrite_in_progress": 0,
    "aof_rewrite_scheduled": 0,
}
FULL = WELL | {"aof_last_write_status": "err"}
REWRITING = WELL | {"aof_rewrite_in_progress": 1}


def test_a_file_that_was_never_in_trouble_is_left_alone() -> None:
    log = BrokenLog()
    assert not any(log.wants_rewrite(WELL, now) for now in range(20))


def test_once_it_can_be_written_again_it_is_written_anew_once() -> None:
    log = BrokenLog()
    assert not log.wants_rewrite(FULL, 0)
    assert log.wants_rewrite(WELL, 1)
    assert not log.wants_rewrite(REWRITING, 2)
    assert not any(log.wants_rewrite(WELL, now) for now in range(3, 30))


def test_a_rewrite_that_began_before_the_trouble_is_not_enough() -> None:
    log = BrokenLog()
    log.wants_rewrite(FULL, 0)
    assert not log.wants_rewrite(REWRITING, 1)
    assert log.wants_rewrite(WELL, 2)


def test_a_rewrite_that_failed_is_asked_for_again_after_a_while() -> None:
    log = BrokenLog()
    log.wants_rewrite(FULL, 0)
    assert log.wants_rewrite(WELL, 1)
    failed = WELL | {"aof_last_bgrewrite_status": "err"}
    assert [now for now in range(2, 25) if log.wants_rewrite(failed, now)] == [11, 21]


def test_a_second_full_disk_begins_it_anew() -> None:
    log = BrokenLog()
    log.wants_rewrite(FULL, 0)
    assert log.wants_rewrite(WELL, 1)
    assert not log.wants_rewrite(FULL, 2)
    assert log.wants_rewrite(WELL, 3)
