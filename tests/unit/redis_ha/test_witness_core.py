"""What witnesses do about a death, and about what only looks like one."""

import pytest

from redis_ha.discovery import NodeView, SentinelView
from redis_ha.witness.core import GRANT_SECONDS
from redis_ha.witness.decisions import Fence, Hold
from redis_ha.witness.evidence import Opened, Reported, SentinelReported, Silent
from tests.unit.redis_ha.witness_world import HEIR, MASTER, OTHER, Seat, World


@pytest.fixture
def world() -> World:
    calm = World()
    calm.run(2.0)
    return calm


def reasons(world: World) -> set[str]:
    return {seat.standing_by for seat in world.seats.values()}


@pytest.mark.parametrize("count", [3, 5, 7])
def test_a_death_is_asked_about_once_by_the_first_witness(count: int) -> None:
    world = World(count)
    world.run(2.0)
    world.kill()
    world.run(0.3)
    assert [(number, run) for _, number, run in world.asks] == [(1, "run-1")]
    world.run(10.0)
    assert len(world.asks) == 1


def test_who_asked_sends_the_other_replicas_to_the_successor(world: World) -> None:
    world.kill()
    world.run(3.0)
    assert world.promoted
    assert world.led == [(1, OTHER, HEIR)]


def test_replicas_are_left_where_they_are_when_somebody_else_asked(world: World) -> None:
    world.raised = True
    world.kill()
    world.run(1.0)
    world.promotion_at = world.now
    world.run(3.0)
    assert world.promoted
    assert world.led == []


def test_a_replica_that_is_linked_is_not_led(world: World) -> None:
    world.kill()
    world.run(0.15)
    assert world.asks
    world.alive, world.replicas_cut = True, False
    for seat in world.seats.values():
        seat.reset = True
    world.promoted = True
    world.run(1.0)
    assert world.led == []


def test_the_living_majority_asks_without_the_first(world: World) -> None:
    world.lose_everything(1)
    world.kill()
    world.run(0.3)
    assert [number for _, number, _ in world.asks] == [2]


def test_a_minority_asks_nothing(world: World) -> None:
    world.replicas_cut = True
    world.seats[2].reset = True
    world.run(5.0)
    assert world.asks == []


def test_the_next_asks_only_a_second_after_a_request_that_led_nowhere(world: World) -> None:
    world.promotion_seconds = None
    world.kill()
    world.run(6.0)
    (first, one, _), (second, other, _), *_ = world.asks
    assert (one, other) == (1, 2)
    assert second - first > 1.0


def test_who_does_not_hear_the_first_lets_only_one_ask(world: World) -> None:
    world.blocked = {(1, 2), (2, 1)}
    world.kill()
    world.run(0.4)
    assert [number for _, number, _ in world.asks] == [1]


def test_a_grant_is_given_out_for_less_time_than_it_binds(world: World) -> None:
    world.refusing = set(world.sentinels)
    world.kill()
    world.run(GRANT_SECONDS - 0.1)
    given = [vote.granted for vote in world.all_said if vote.number == 3 and vote.dead]
    began = given.index(1)
    ended = given.index(None, began)
    assert set(given[began:ended]) == {1}
    assert set(given[ended:]) == {None}
    world.run(GRANT_SECONDS)
    assert [number for _, number, _ in world.asks] == [1, 1, 1, 2, 2, 2]


def test_recorded_votes_prove_nothing(world: World) -> None:
    world.replicas_cut = True
    world.seats[2].reset = world.seats[3].reset = True
    world.seats[1].partitioned = True
    world.blocked = {(2, 3), (3, 2)}
    world.run(1.0)
    recorded = [vote for vote in world.all_said if vote.dead]
    assert recorded
    assert world.asks == []
    world.seats[2].reset = world.seats[3].reset = False
    world.start(1)
    world.run(2.0)
    world.seats[1].reset = True
    for _ in range(20):
        for vote in recorded:
            world.replay(vote, 1)
        world.run(0.1)
    assert world.asks == []


def test_a_restored_connection_is_no_death(world: World) -> None:
    world.restart()
    world.run(3.0)
    assert world.asks == []
    assert world.all_said == []


def test_a_replica_that_hears_the_master_stands_in_the_way(world: World) -> None:
    for seat in world.seats.values():
        seat.reset = True
    world.run(3.0)
    assert world.asks == []
    assert reasons(world) == {f"{HEIR} is still connected to it"}


def test_a_live_restore_stands_in_the_way(world: World) -> None:
    world.raised = True
    world.run(1.0)
    world.kill()
    world.run(3.0)
    assert world.asks == []
    assert all("live restore" in reason for reason in reasons(world))


def test_a_failover_under_way_stands_in_the_way(world: World) -> None:
    world.failing_over_until = world.now + 60
    world.kill()
    world.run(3.0)
    assert world.asks == []
    assert reasons(world) == {f"{world.sentinels[-1]} is failing over"}


def test_a_lost_neighbour_stands_in_the_way(world: World) -> None:
    for seat in world.seats.values():
        seat.core.note(Silent(OTHER), world.now + seat.clock)
        seat.deaf = {OTHER}
    world.kill()
    world.run(3.0)
    assert world.asks == []
    assert all("may be cut off" in reason for reason in reasons(world))


def test_a_replica_that_was_lost_long_before_does_not(world: World) -> None:
    for seat in world.seats.values():
        seat.core.note(Silent(OTHER), world.now + seat.clock)
        seat.deaf = {OTHER}
    world.run(3.0)
    world.kill()
    world.run(1.0)
    assert len(world.asks) == 1


def test_a_listener_that_lets_nobody_in_is_alive(world: World) -> None:
    for seat in world.seats.values():
        seat.listener = True
    world.kill()
    world.run(3.0)
    assert world.asks == []


def test_a_listener_that_appears_after_a_refusal_stands_in_the_way(world: World) -> None:
    world.kill()
    world.tick()
    for seat in world.seats.values():
        seat.listener = True
    world.run(3.0)
    assert world.asks == []
    assert all(reason.startswith("somebody listens") for reason in reasons(world))


def fences(world: World, seat: Seat, seconds: float) -> list[object]:
    """Let the old master be back beside its successor; return what a witness does about it."""
    found: list[object] = []
    old = NodeView(MASTER, role="master", replid="reborn", run_id="reborn")
    seat.core.note(Opened(MASTER), world.now + seat.clock)
    for _ in range(round(seconds / 0.1)):
        world.now += 0.1
        now = world.now + seat.clock
        for view in (old, world.view(HEIR), world.view(OTHER)):
            seat.core.note(Reported(view), now)
        world.sentinels_report(seat)
        found += [d for d in seat.core.decide(now) if isinstance(d, Fence | Hold)]
    return found


def test_an_old_master_beside_its_successor_is_fenced(world: World) -> None:
    world.kill()
    world.run(1.0)
    assert world.promoted
    found = fences(world, world.seats[3], 0.3)
    assert [(d.old, d.new) for d in found if isinstance(d, Fence)] == [(MASTER, HEIR)]


def test_an_old_master_back_before_the_promotion_waits(world: World) -> None:
    world.promotion_seconds = None
    world.kill()
    world.run(0.2)
    assert world.asks
    found = fences(world, world.seats[1], 0.3)
    assert [type(d) for d in found] == [Hold]


def test_a_master_that_was_never_replaced_is_left_alone(world: World) -> None:
    world.restart()
    world.run(0.1)
    assert fences(world, world.seats[1], 1.0) == []


def beside(world: World, seat: Seat, *, named: bool) -> list[object]:
    """Have the master live beside a node that continues its history; return what is done."""
    world.run(0.1)
    now = world.now + seat.clock
    heir = NodeView(HEIR, role="master", replid="new", replid2=world.replid, run_id="heir")
    seat.core.note(Reported(heir), now)
    world.sentinels_report(seat)
    if named:
        word = SentinelView(world.sentinels[1], HEIR, config_epoch=world.epoch + 1)
        seat.core.note(SentinelReported(word), now)
    return [d for d in seat.core.decide(now) if isinstance(d, Fence | Hold)]


def test_a_living_master_that_was_failed_over_is_fenced_once(world: World) -> None:
    seat = world.seats[2]
    found = beside(world, seat, named=True)
    assert [(d.old, d.new) for d in found if isinstance(d, Fence)] == [(MASTER, HEIR)]
    assert len(found) == 1
    assert seat.core.decide(world.now + seat.clock) == []


def test_a_replica_that_somebody_made_a_master_fences_nobody(world: World) -> None:
    assert beside(world, world.seats[2], named=False) == []


def test_a_failover_that_has_begun_names_the_successor(world: World) -> None:
    world.flags[world.sentinels[0]] = {"failover_in_progress"}
    found = beside(world, world.seats[2], named=False)
    assert [type(d) for d in found] == [Fence]


def test_two_old_masters_are_kept_from_writing_at_once(world: World) -> None:
    world.kill()
    world.run(1.0)
    seat, now = world.seats[3], world.now + world.seats[3].clock
    assert list(seat.core.duties) == [MASTER]
    second = NodeView(OTHER, role="master", replid="o", replid2=world.view(HEIR).replid)
    word = SentinelView(world.sentinels[0], OTHER, config_epoch=world.epoch + 2)
    seat.core.note(Reported(second), now)
    seat.core.note(SentinelReported(word), now)
    found = [d for d in seat.core.decide(now) if isinstance(d, Fence)]
    assert [(d.old, d.new) for d in found] == [(HEIR, OTHER)]
    assert list(seat.core.duties) == [MASTER, HEIR]
