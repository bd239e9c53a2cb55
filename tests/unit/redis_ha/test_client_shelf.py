"""Which connections a pool keeps, and how old a replica's data can be."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from redis_ha.client.shelf import Shelf
from redis_ha.client.staleness import Ages, Mark, fresh_at
from redis_ha.connection import Address
from redis_ha.discovery import NodeView
from redis_ha.environment import PoolSettings

SETTINGS = PoolSettings(minimum=1, size=2, maximum=4)
steps = st.lists(st.tuples(st.sampled_from(["take", "put", "drop"]), st.floats(0, 3)), max_size=60)


@given(steps)
def test_never_more_than_the_maximum_and_none_is_lent_twice(steps: list[tuple[str, float]]) -> None:
    shelf: Shelf[int] = Shelf(SETTINGS, surplus_seconds=5.0)
    opened, now, lent, closed = 0, 0.0, [], set()
    for step, seconds in steps:
        now += seconds
        if step == "take":
            connection = shelf.take()
            if connection is None and shelf.may_open:
                connection, opened = opened, opened + 1
                shelf.lent.add(connection)
            if connection is not None:
                assert connection not in lent
                assert connection not in closed
                lent.append(connection)
        elif lent and step == "put":
            surplus = shelf.put(lent.pop(0), now=now)
            assert len(shelf.idle) >= SETTINGS.size or not surplus
            closed.update(surplus)
        elif lent:
            shelf.drop(lent[-1])
            closed.add(lent.pop())
        assert set(lent) == shelf.lent
        assert len(shelf.idle) + len(shelf.lent) <= SETTINGS.maximum
        assert opened == len(shelf.idle) + len(lent) + len(closed)


def test_the_connection_used_last_is_lent_first_and_surplus_goes_after_a_while() -> None:
    shelf: Shelf[str] = Shelf(SETTINGS, surplus_seconds=5.0)
    shelf.lent.update("abc")
    assert [shelf.put(name, now=0.0) for name in "abc"] == [[], [], []]
    assert shelf.take() == "c"
    assert shelf.put("c", now=4.9) == []
    assert shelf.take() == "c"
    assert shelf.put("c", now=5.1) == ["a"]
    assert shelf.take() == "c"
    assert shelf.put("c", now=99.0) == []


def test_surplus_is_due_once_the_oldest_was_not_used_for_long() -> None:
    shelf: Shelf[str] = Shelf(SETTINGS, surplus_seconds=5.0)
    shelf.lent.update("abcd")
    shelf.put("a", now=0.0)
    shelf.put("b", now=1.0)
    assert not shelf.crowded
    shelf.put("c", now=1.1)
    shelf.put("d", now=1.2)
    assert shelf.crowded
    due = 2.0 + shelf.due_in(now=2.0)
    assert 5.0 < due < 5.5
    assert shelf.trim(now=due) == ["a"]
    assert shelf.crowded
    assert shelf.trim(now=due + shelf.due_in(now=due)) == ["b"]
    assert not shelf.crowded
    assert shelf.trim(now=99.0) == []


def test_one_that_is_not_lent_is_not_taken_back() -> None:
    shelf: Shelf[str] = Shelf(SETTINGS)
    assert shelf.put("stranger", now=0.0) == []
    assert not shelf.idle


B, C = Address("10.0.0.2", 2), Address("10.0.0.3", 3)
REPLICA = NodeView(B, "slave", offset=500, replid="a")
MARKS = [Mark(1.0, "a", 100), Mark(2.0, "a", 500), Mark(3.0, "a", 900), Mark(4.0, "b", 0)]


def test_a_replica_is_as_old_as_the_last_mark_that_it_reached() -> None:
    assert fresh_at(REPLICA, MARKS) == 2.0
    assert fresh_at(replace(REPLICA, offset=899), MARKS) == 2.0
    assert fresh_at(replace(REPLICA, offset=900), MARKS) == 3.0
    assert fresh_at(replace(REPLICA, offset=99), MARKS) is None


def test_only_a_replica_of_the_same_history_counts() -> None:
    assert fresh_at(replace(REPLICA, replid="x"), MARKS) is None
    assert fresh_at(replace(REPLICA, role="master"), MARKS) is None
    assert fresh_at(replace(REPLICA, role=None), MARKS) is None
    assert fresh_at(replace(REPLICA, syncing=True), MARKS) is None
    assert fresh_at(replace(REPLICA, loading=True), MARKS) is None


@given(
    offsets=st.lists(st.integers(0, 1000), min_size=1, max_size=20),
    applied=st.integers(0, 1000),
    now=st.floats(0, 30),
    limit=st.floats(0, 10),
)
def test_a_usable_replica_misses_nothing_older_than_the_limit(
    offsets: list[int], applied: int, now: float, limit: float
) -> None:
    marks = [Mark(float(at), "a", offset) for at, offset in enumerate(sorted(offsets))]
    at = fresh_at(replace(REPLICA, offset=applied), marks)
    ages = Ages({} if at is None else {B: at})
    if ages.usable(now, max_lag_seconds=limit):
        missed = [mark for mark in marks if mark.offset > applied and mark.at < now - limit]
        assert missed == []
