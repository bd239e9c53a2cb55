"""Witnesses in every order of deaths, delays, cuts and replays: who asks, when, on whose word."""

from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from redis_ha.witness.core import GIVEN_SECONDS, GRANT_SECONDS, NONCE_SECONDS
from tests.unit.redis_ha.witness_world import HEIR, OTHER, TICK, World

NUMBERS = st.integers(1, 9)
APART = GRANT_SECONDS - GIVEN_SECONDS - NONCE_SECONDS


class Witnesses(RuleBasedStateMachine):
    """Whatever happens, asks stay apart and rest on a majority that saw the death."""

    @initialize(count=st.sampled_from([3, 5, 7, 9]))
    def begin(self, count: int) -> None:
        self.world = World(count)
        self.world.run(2.0)

    def seat(self, number: int) -> Any:
        return self.world.seats[(number - 1) % self.world.count + 1]

    @rule(seconds=st.sampled_from([0.02, 0.1, 0.4, 1.0, 2.5]))
    def time_passes(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(seconds=st.sampled_from([0.02, 0.06, 0.2, 1.0]), restart=st.booleans())
    def the_master_dies(self, seconds: float, restart: bool) -> None:
        self.world.kill()
        self.world.run(seconds)
        if restart:
            self.world.restart()

    @rule(number=NUMBERS)
    def all_is_well_again(self, number: int) -> None:
        self.world.begin_anew()
        self.world.blocked.clear()
        for seat in self.world.seats.values():
            seat.partitioned = seat.reset = False
        self.world.start(self.seat(number).number)
        self.world.run(0.1)

    @rule(number=NUMBERS, restart=st.booleans())
    def a_witness_is_cut_off(self, number: int, restart: bool) -> None:
        self.world.lose_everything(self.seat(number).number)
        if restart:
            self.world.start(self.seat(number).number)

    @rule(numbers=st.sets(NUMBERS), cut=st.booleans())
    def the_way_to_the_master_answers_with_resets(self, numbers: set[int], cut: bool) -> None:
        for seat in self.world.seats.values():
            seat.reset = seat.number in numbers
        self.world.replicas_cut = cut

    @rule(raised=st.booleans())
    def a_live_restore_raises_down_after(self, raised: bool) -> None:
        self.world.raised = raised
        self.world.run(0.1)

    @rule(seconds=st.sampled_from([0.0, 0.2, 0.5, 1.5]), lost=st.booleans())
    def mail_is_slow(self, seconds: float, lost: bool) -> None:
        self.world.delay = seconds
        self.world.hold_mail(seconds)
        if lost:
            self.world.drop_mail()

    @rule(one=NUMBERS, other=NUMBERS)
    def two_don_t_hear_each_other(self, one: int, other: int) -> None:
        self.world.blocked |= {(one, other), (other, one)}

    @rule(index=st.integers(0, 10_000), to=NUMBERS)
    def votes_are_replayed(self, index: int, to: int) -> None:
        said = self.world.all_said
        for offset in range(5 if said else 0):
            self.world.replay(said[(index + offset) % len(said)], self.seat(to).number)

    @rule(seconds=st.sampled_from([0.1, 0.3, 1.2, None]))
    def the_sentinel_takes(self, seconds: float | None) -> None:
        self.world.promotion_seconds = seconds

    @rule(refusing=st.sets(NUMBERS), tilting=st.sets(NUMBERS), stalled=st.sets(NUMBERS))
    def sentinels_refuse_tilt_or_stall(
        self, refusing: set[int], tilting: set[int], stalled: set[int]
    ) -> None:
        world = self.world
        world.go_on()
        world.refusing, world.tilting, world.stalled = (
            {one for one in world.sentinels if one.port in numbers}
            for numbers in (refusing, tilting, stalled)
        )

    @rule(numbers=st.sets(NUMBERS), flag=st.sampled_from(["s_down", "o_down"]))
    def sentinels_take_the_master_for_down(self, numbers: set[int], flag: str) -> None:
        self.world.flags = {one: {flag} for one in self.world.sentinels if one.port in numbers}

    @invariant()
    def asks_are_apart(self) -> None:
        asks = self.world.asks
        for (before, first, _), (after, second, _) in pairwise(asks):
            if first != second:
                assert after - before >= APART - TICK, asks

    @invariant()
    def what_is_taken_up_is_apart_whoever_asked(self) -> None:
        for before, after in pairwise(self.world.taken_up):
            assert after - before >= APART - TICK, self.world.asks

    @invariant()
    def nobody_asks_while_it_hears_the_master(self) -> None:
        assert not self.world.asked_a_living_one

    @invariant()
    def a_majority_saw_each_death(self) -> None:
        for _, _, run_id in self.world.asks:
            saw = [n for n, deaths in self.world.saw.items() if run_id in deaths]
            assert len(saw) > self.world.count // 2, (run_id, self.world.saw)

    @invariant()
    def replicas_are_led_to_the_successor_alone(self) -> None:
        assert {(replica, new) for _, replica, new in self.world.led} <= {(OTHER, HEIR)}
        assert len(self.world.led) <= len(self.world.asks)

    @invariant()
    def nobody_asks_during_a_live_restore(self) -> None:
        assert not self.world.asked_while_raised

    def teardown(self) -> None:
        """A real death, a majority alive and mail in time: an ask, or a reason from each."""
        if not hasattr(self, "world"):
            return
        world = self.world
        alive = [s for s in world.seats.values() if not s.partitioned and not s.reset]
        world.drop_mail()
        world.blocked.clear()
        world.begin_anew()
        world.delay, world.promotion_seconds = 0.002, 0.2
        world.go_on()
        world.flags.clear()
        few = world.sentinels[-(world.count // 2) :]
        world.refusing &= set(few)
        world.tilting &= set(few)
        world.run(3.0)
        for seat in alive:
            seat.standing_by = ""
        world.asks.clear()
        world.taken_up.clear()
        world.led.clear()
        world.kill()
        world.run(4.0)
        if len(alive) > world.count // 2:
            assert {run for _, _, run in world.asks} <= {world.run_id}
            assert len(world.taken_up) == 1 or all(s.standing_by for s in alive), world.asks
            assert world.promoted


TestWitnesses = Witnesses.TestCase
TestWitnesses.settings = settings(max_examples=80, stateful_step_count=20)
