"""Three to nine witnesses whose mail takes its time: one asks, soon, and no two at once."""

import random
from itertools import pairwise

import pytest

from redis_ha.witness.core import GIVEN_SECONDS, GRANT_SECONDS, NONCE_SECONDS
from tests.unit.redis_ha.witness_world import TICK, Seat, World

APART = GRANT_SECONDS - GIVEN_SECONDS - NONCE_SECONDS
SEEDS = 25


class Uneven(World):
    """Each message takes up to `slowest` (s), each witness notices the death up to `apart` late."""

    def upset(self, seed: int, *, slowest: float, apart: float) -> None:
        chance = random.Random(seed)
        self.delays = lambda: chance.uniform(0.0, slowest)
        self.notices_at = {number: chance.uniform(0.0, apart) for number in self.seats}
        self.died_at = float("inf")

    def kill(self) -> None:
        super().kill()
        self.died_at = self.now

    def _observe_master(self, seat: Seat, now: float) -> None:
        if self.now < self.died_at or self.now >= self.died_at + self.notices_at[seat.number]:
            super()._observe_master(seat, now)


def upset(count: int, seed: int, slowest: float = 0.06, apart: float = 0.1) -> Uneven:
    world = Uneven(count)
    world.upset(seed, slowest=slowest, apart=apart)
    world.run(1.8)
    return world


@pytest.mark.parametrize("count", [3, 5, 7, 9])
def test_somebody_asks_within_a_second_however_the_mail_goes(count: int) -> None:
    for seed in range(SEEDS):
        world = upset(count, seed)
        died = world.now
        world.kill()
        while not world.asks:
            assert world.now - died < 1.0, f"nobody asks with seed {seed}"
            world.tick()


@pytest.mark.parametrize("count", [3, 5, 7, 9])
def test_no_two_ask_at_once_however_the_mail_goes(count: int) -> None:
    for seed in range(4):
        world = upset(count, seed, slowest=0.2, apart=0.5)
        world.promotion_seconds = None
        world.kill()
        world.run(6.0)
        for (before, one, _), (after, other, _) in pairwise(world.asks):
            assert one == other or after - before >= APART - TICK, (seed, world.asks)


@pytest.mark.parametrize(("count", "seed"), [(5, 128), (9, 140)])
def test_whom_a_majority_lets_ask_asks_though_it_let_another(count: int, seed: int) -> None:
    world = upset(count, seed, slowest=0.03, apart=0.06)
    world.kill()
    world.run(0.5)
    assert [number for _, number, _ in world.asks] == [2]
    assert world.seats[2].core.grant.number == 1
