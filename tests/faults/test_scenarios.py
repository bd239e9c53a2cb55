"""The fault suite: the named scenarios that are quick, and random ones of fixed seeds.

REDIS_HA_FAULTS=all plays every named one; `make soak` plays random ones in any number.
"""

import os
from collections.abc import Callable, Iterator
from typing import get_args

import pytest

from tests.faults.chance import random_scenario
from tests.faults.evidence import unseen
from tests.faults.fault import Fault, Kind
from tests.faults.lan import why_not
from tests.faults.scenario import Scenario
from tests.faults.table import NAMED, QUICK
from tests.faults.worlds import Worlds

EVERY = os.environ.get("REDIS_HA_FAULTS") == "all"
# Two faults each: a replica and the zone of the master; a sentinel and the master. Then those that
# were lost once: a zone whose sentinel goes a moment after its master and had been asked for the
# failover; a disk that has room again just when Sentinel fails over; a rolling change while nobody
# runs; a clock that jumps in the middle of a handover.
SEEDS = (16, 33, 242, 1651, 1684, 1715)
Figure = Callable[[str], None]
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    # A connection that a fault ends in the middle of its handshake is closed by the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def worlds() -> Iterator[Worlds]:
    with Worlds.one_by_one() as made:
        yield made


@pytest.mark.parametrize(
    "scenario", [s for s in NAMED if EVERY or s.name in QUICK], ids=lambda s: s.name
)
def test_a_named_scenario(worlds: Worlds, figure: Figure, scenario: Scenario) -> None:
    passes(worlds, figure, scenario)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_scenario(worlds: Worlds, figure: Figure, seed: int) -> None:
    passes(worlds, figure, random_scenario(seed))


def test_of_a_fault_that_nobody_began_nothing_shows(worlds: Worlds) -> None:
    world = worlds.current()
    master = world.cluster.settled_master()
    seen = {k for k in get_args(Kind) if not unseen(world, Fault(k), [master], within=0.5)}
    # These are seen at their end.
    assert seen == {"stop", "rolling"}


def passes(worlds: Worlds, figure: Figure, scenario: Scenario) -> None:
    outcome = worlds.play(scenario)
    if isinstance(outcome, str):
        pytest.skip(outcome)
    figure(str(outcome))
    assert outcome.troubles == []
