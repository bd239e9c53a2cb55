"""Whom a witness asks when a sentinel says no, tilts or stalls, and when Sentinel's own turn is."""

import pytest

from redis_ha.discovery import SentinelView
from redis_ha.witness.core import FIT_SECONDS, PATIENCE_SECONDS
from redis_ha.witness.decisions import Ask, Decision, Look, PassOver
from redis_ha.witness.evidence import Answered, Looked, Opened, SentinelReported
from tests.unit.redis_ha.witness_world import DOWN_AFTER, MASTER, TICK, Seat, World


@pytest.fixture
def world() -> World:
    calm = World()
    calm.run(2.0)
    return calm


def die_until_a_look(world: World) -> tuple[Seat, Look]:
    """Kill the master with all sentinels stalled; return who looks at which of them."""
    world.stalled = set(world.sentinels)
    world.kill()
    for _ in range(50):
        world.tick()
        if world.late_answers:
            seat, looked = world.late_answers[0]
            # Meanwhile the others' grants come in.
            world.run(2 * TICK)
            return seat, Look(looked.sentinel, looked.at)
    raise AssertionError("nobody looked")


def after(world: World, seat: Seat, seconds: float) -> list[Decision]:
    """Let time pass in which others say what they said, and nothing else."""
    world.now += seconds
    world.sentinels_report(seat)
    return seat.core.decide(world.now + seat.clock)


@pytest.mark.parametrize("count", [3, 5])
def test_one_refusing_sentinel_is_passed_over_at_once(count: int) -> None:
    world = World(count)
    world.run(2.0)
    world.refusing = {world.sentinels[-1]}
    world.kill()
    world.run(0.5)
    assert world.asked == [world.sentinels[-1], world.sentinels[-2]]
    assert {number for _, number, _ in world.asks} == {1}
    assert world.promoted
    world.run(10.0)
    assert len(world.asks) == 2


def test_who_was_taken_up_is_not_asked_again_in_the_same_turn(world: World) -> None:
    world.promotion_seconds = None
    world.kill()
    world.run(1.0)
    assert len(world.asks) == 1


def test_each_sentinel_is_asked_once_in_a_turn_where_all_refuse(world: World) -> None:
    world.refusing = set(world.sentinels)
    world.kill()
    world.run(1.0)
    assert world.asked == list(reversed(world.sentinels))


def test_a_sentinel_in_tilt_mode_is_not_asked(world: World) -> None:
    world.tilting = {world.sentinels[-1]}
    world.kill()
    world.run(0.5)
    assert world.asked == [world.sentinels[-2]]
    assert world.passed_over == [(world.sentinels[-1], "it is in TILT mode")]
    assert world.promoted


def test_a_sentinel_that_stalls_is_not_asked_even_when_it_goes_on(world: World) -> None:
    world.stalled = {world.sentinels[-1]}
    world.kill()
    world.run(PATIENCE_SECONDS + 0.15)
    assert world.asked == [world.sentinels[-2]]
    assert world.passed_over == [(world.sentinels[-1], "it doesn't answer at once")]
    world.go_on()
    world.run(10.0)
    assert world.asked == [world.sentinels[-2]]


def test_an_answer_within_the_time_is_taken(world: World) -> None:
    seat, look = die_until_a_look(world)
    after(world, seat, PATIENCE_SECONDS / 2)
    seat.core.note(Looked(look.sentinel, look.at), world.now + seat.clock)
    found = after(world, seat, TICK)
    assert [d.sentinel for d in found if isinstance(d, Ask)] == [look.sentinel]


def test_a_good_answer_is_not_good_for_long(world: World) -> None:
    seat, look = die_until_a_look(world)
    seat.core.note(Looked(look.sentinel, look.at), world.now + seat.clock)
    found = after(world, seat, FIT_SECONDS + TICK)
    assert not any(isinstance(d, Ask | PassOver) for d in found)
    assert [d.sentinel for d in found if isinstance(d, Look)] == [look.sentinel]


def test_an_answer_that_comes_too_late_leads_to_nothing(world: World) -> None:
    seat, look = die_until_a_look(world)
    found = after(world, seat, PATIENCE_SECONDS + TICK)
    assert [d.sentinel for d in found if isinstance(d, PassOver)] == [look.sentinel]
    seat.core.note(Looked(look.sentinel, look.at), world.now + seat.clock)
    assert not any(isinstance(d, Ask) for d in after(world, seat, TICK))


def test_where_all_are_slow_the_first_gets_another_look(world: World) -> None:
    seat, look = die_until_a_look(world)
    looks = [look.sentinel]
    for _ in range(30):
        found = after(world, seat, TICK / 2)
        looks += [d.sentinel for d in found if isinstance(d, Look)]
    assert looks[:3] == list(reversed(world.sentinels))
    assert world.asks == []


def test_an_answer_to_an_earlier_look_counts_for_nothing(world: World) -> None:
    seat, look = die_until_a_look(world)
    seat.core.note(Looked(look.sentinel, look.at - 1.0), look.at + TICK)
    assert not any(isinstance(d, Ask) for d in after(world, seat, TICK))


def test_a_master_that_is_back_after_the_look_is_not_failed_over(world: World) -> None:
    seat, look = die_until_a_look(world)
    now = world.now + seat.clock
    seat.core.note(Opened(MASTER), now)
    seat.core.note(Looked(look.sentinel, look.at), now)
    assert not any(isinstance(d, Ask) for d in seat.core.decide(now))


def test_a_failover_that_begins_after_the_look_stands_in_the_way(world: World) -> None:
    seat, look = die_until_a_look(world)
    world.leader = world.sentinels[0]
    world.failing_over_until = world.now + 60
    seat.core.note(Looked(look.sentinel, look.at), world.now + seat.clock)
    assert not any(isinstance(d, Ask) for d in after(world, seat, TICK))
    world.go_on()
    world.run(2.0)
    assert world.asks == []


def test_a_late_refusal_of_one_sentinel_is_none_of_the_next(world: World) -> None:
    world.refusing = {world.sentinels[-1]}
    world.kill()
    world.run(0.2)
    seat = world.seats[1]
    assert world.asked == [world.sentinels[-1], world.sentinels[-2]]
    late = Answered(world.sentinels[-1], seat.core.evidence.nodes[MASTER].down_at, "refused")
    for _ in range(5):
        seat.core.note(late, world.now + seat.clock)
        world.tick()
    assert len(world.asks) == 2


@pytest.mark.parametrize("alone", ["flag", "silence"])
def test_a_sentinel_that_alone_lost_the_master_stands_in_nobodys_way(
    world: World, alone: str
) -> None:
    first = world.sentinels[0]
    if alone == "flag":
        world.flags = {first: {"s_down"}}
    else:
        world.silence = {first: DOWN_AFTER}
    world.run(1.0)
    world.kill()
    world.run(0.5)
    assert len(world.asks) == 1
    assert world.promoted


@pytest.mark.parametrize("flag", ["o_down", "s_down"])
def test_sentinels_that_may_act_by_themselves_stand_in_the_way(world: World, flag: str) -> None:
    late = world.sentinels[:1] if flag == "o_down" else world.sentinels[:2]
    world.flags = {sentinel: {flag} for sentinel in late}
    world.run(1.0)
    world.kill()
    world.run(3.0)
    assert world.asks == []
    assert all("by itself" in seat.standing_by for seat in world.seats.values())


def test_one_that_does_not_answer_may_be_the_one_that_leads(world: World) -> None:
    world.flags = {world.sentinels[0]: {"s_down"}}
    world.silent = {world.sentinels[1]}
    world.run(1.0)
    world.kill()
    world.run(3.0)
    assert world.asks == []


def test_the_reason_to_stand_by_stays_the_same_while_the_silence_grows(world: World) -> None:
    world.run(0.1)
    seat, reasons = world.seats[1], set[str]()
    world.silence = dict.fromkeys(world.sentinels, DOWN_AFTER)
    world.kill()
    for _ in range(50):
        world.tick()
        world.silence = {a: one + TICK for a, one in world.silence.items()}
        reasons.add(seat.standing_by)
    assert len(reasons - {""}) == 1, reasons


def test_a_sentinel_that_names_another_is_never_looked_at(world: World) -> None:
    odd = SentinelView(world.sentinels[-1], problem="away")
    world.silent = {world.sentinels[-1]}
    for seat in world.seats.values():
        seat.core.note(SentinelReported(odd), world.now + seat.clock)
    world.kill()
    world.run(0.5)
    assert world.asked == [world.sentinels[-2]]
