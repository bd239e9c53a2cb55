"""The checker itself: what it excuses and what it doesn't, and that a seed says everything."""

import os
from pathlib import Path

import pytest

from redis_ha.failover_test.records import Sample
from tests.faults.chance import random_scenario
from tests.faults.claims import claimed
from tests.faults.fault import FENCED_WITHIN, Fault, Happened, inexcusable, may_tear_the_log
from tests.faults.scenario import longest_overlap
from tests.faults.soak import joined, scenarios_of


@pytest.mark.parametrize(
    ("kind", "moment", "excused"),
    [
        ("crash", 99.5, True),
        ("crash", 104.0, False),
        ("crash", 90.0, False),
        ("isolate", 104.0, True),
        ("isolate", 100 + FENCED_WITHIN + 1.5, False),
        ("isolate", 121.0, True),
        ("hang", 110.0, False),
        ("loss", 112.0, True),
        ("stop", 100.0, False),
        ("full disk", 110.0, False),
    ],
)
def test_only_what_a_master_had_not_passed_on_may_be_lost(
    kind: str, moment: float, *, excused: bool
) -> None:
    fault = Fault(kind)  # type: ignore[arg-type]
    beyond = [] if excused else [moment]
    assert inexcusable([Happened(fault, 100.0, 100.0, 120.0, hit_master=True)], [moment]) == beyond
    spared = Happened(fault, 100.0, 100.0, 120.0, hit_master=False)
    assert inexcusable([spared], [moment]) == [moment]


@pytest.mark.parametrize("kind", ["hang", "full disk"])
def test_a_master_that_lives_beside_its_successor_may_lose_what_it_took_in_a_moment(
    kind: str,
) -> None:
    over = [Happened(Fault(kind), 100.0, 100.0, 120.0, hit_master=True)]  # type: ignore[arg-type]
    assert inexcusable(over, [121.0, 120.5]) == []
    assert inexcusable(over, [120.5, 121.0, 121.6]) == [120.5, 121.0, 121.6]
    assert inexcusable(over, [120.0 + FENCED_WITHIN + 0.1]) == [120.0 + FENCED_WITHIN + 0.1]


def test_each_fault_excuses_a_moment_of_its_own() -> None:
    faults = [
        Happened(Fault("hang"), 100.0, 100.0, 120.0, hit_master=True),
        Happened(Fault("full disk", at=20.0), 120.0, 120.0, 140.0, hit_master=True),
    ]
    assert inexcusable(faults, [120.5, 121.0, 140.5, 141.0]) == []


def test_only_a_node_that_starts_while_another_is_away_may_tear_the_log() -> None:
    assert not may_tear_the_log([Fault("crash")])
    assert not may_tear_the_log([Fault("hang"), Fault("isolate", "replica")])
    assert may_tear_the_log([Fault("crash"), Fault("isolate", "replica")])
    assert not may_tear_the_log([Fault("crash"), Fault("crash", "sentinel")])
    assert not may_tear_the_log([Fault("rolling", "everything")])
    assert may_tear_the_log([Fault("crash"), Fault("stop", "replica")])
    assert may_tear_the_log([Fault("crash", "everything")])
    assert may_tear_the_log([Fault("full disk", "replica"), Fault("stop")])
    assert not may_tear_the_log([Fault("full disk"), Fault("stop", "replica")])


def test_two_that_take_writes_at_once_are_seen() -> None:
    one = [Sample(at / 10, "master", writable=True) for at in range(100)]
    other = [Sample(at / 10, "master", writable=True) for at in range(60, 150)]
    assert longest_overlap({"redis-1": one, "redis-2": other}) == pytest.approx(3.9)
    assert longest_overlap({"redis-1": one, "redis-2": []}) == 0


def test_the_same_seed_is_the_same_scenario() -> None:
    assert [random_scenario(seed) for seed in range(50)] == [
        random_scenario(seed) for seed in range(50)
    ]
    assert len({random_scenario(seed).faults for seed in range(50)}) > 40


def test_one_fault_of_a_seed_is_the_whole_scenario_of_that_seed() -> None:
    for seed in range(20):
        assert list(scenarios_of(seed, 1)) == [random_scenario(seed)]
    assert sum(len(scenario.faults) for scenario in scenarios_of(7, 100)) in (100, 101)


def test_more_results_are_added_and_the_last_of_a_seed_counts() -> None:
    one, other = ({"seed": seed, "name": "by chance", "lost": 0} for seed in (7, 3))
    again = {**one, "lost": 5}
    assert joined([one], [other]) == [other, one]
    assert joined([one, other], [again]) == [other, again]


def test_two_runs_have_different_numbers(tmp_path: Path) -> None:
    if not os.access("/run", os.W_OK):
        pytest.skip("claims are kept in /run, which needs root")
    with claimed(tmp_path) as one, claimed(tmp_path) as other:
        assert one != other
