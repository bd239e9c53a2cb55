"""Scenarios by chance: one or two faults out of all, the same ones for the same seed."""

import random

from tests.faults.fault import Fault, Kind
from tests.faults.scenario import Scenario

# Each kind with the parts it may hit and how long it may last (s).
_CHOICES: dict[Kind, tuple[tuple[str, ...], tuple[float, float]]] = {
    "crash": (("master", "replica", "sentinel", "zone", "everything"), (0.0, 8.0)),
    "hang": (("master", "replica", "sentinel"), (1.0, 10.0)),
    "stop": (("master", "replica", "sentinel"), (0.0, 6.0)),
    "isolate": (("master", "replica", "sentinel", "zone"), (1.0, 12.0)),
    "deaf": (("master", "replica", "sentinel"), (1.0, 12.0)),
    "dumb": (("master", "replica", "sentinel"), (1.0, 12.0)),
    "loss": (("master", "replica", "zone"), (2.0, 10.0)),
    "empty": (("master", "replica"), (0.0, 4.0)),
    "stale": (("master", "replica"), (0.0, 4.0)),
    "full disk": (("master", "replica"), (1.0, 6.0)),
    "slow disk": (("master", "replica"), (2.0, 10.0)),
    "stuck disk": (("master", "replica"), (1.0, 10.0)),
    "slow network": (("master", "replica", "sentinel"), (2.0, 10.0)),
    "clock ahead": (("master", "replica", "sentinel"), (1.0, 8.0)),
    "clock behind": (("master", "replica", "sentinel"), (1.0, 8.0)),
    "oom": (("master", "replica"), (0.0, 6.0)),
    "rolling": (("everything",), (10.0, 30.0)),
}


def random_scenario(seed: int) -> Scenario:
    """Make up the scenario of a seed: mostly one fault, often a second within three seconds."""
    chance = random.Random(seed)
    count = chance.choice((1, 1, 2, 2, 2))
    faults = [_fault(chance, at=0.0)]
    if count == 2:
        faults.append(_fault(chance, at=round(chance.uniform(0.0, 3.0), 1)))
    return Scenario("by chance", tuple(faults), seed)


def _fault(chance: random.Random, *, at: float) -> Fault:
    kind = chance.choice(tuple(_CHOICES))
    parts, (shortest, longest) = _CHOICES[kind]
    return Fault(kind, chance.choice(parts), at, round(chance.uniform(shortest, longest), 1))
