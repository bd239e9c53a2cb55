"""Which faults are done, and to which clusters they are not."""

import pytest

from redis_ha.errors import HarmRefused
from redis_ha.failover_test.campaign import chosen, is_production, refuse_production
from redis_ha.failover_test.run import clients_limit


@pytest.mark.parametrize(
    ("stack", "settings", "marked"),
    [
        ("prod", {}, True),
        ("acme/redis-ha/production", {}, True),
        ("dev", {"REDIS_PRODUCTION": "true"}, True),
        (None, {"REDIS_PRODUCTION": "1"}, True),
        ("dev", {"REDIS_PRODUCTION": "false"}, False),
        ("reproduction", {}, False),
        (None, {}, False),
    ],
)
def test_production_is_known_by_its_mark(
    stack: str | None, settings: dict[str, str], marked: bool
) -> None:
    assert is_production(stack, settings) is marked


def test_production_is_refused_with_the_way_out() -> None:
    with pytest.raises(HarmRefused, match="--yes-production"):
        refuse_production("prod", {})


def test_all_is_every_fault_once() -> None:
    assert chosen(["all", "crash"], compare=False) == (
        *("crash", "hang", "partition", "asymmetric-partition"),
        "switchover",
    )


def test_compare_adds_the_peer_that_loses_writes() -> None:
    assert chosen(["switchover"], compare=True) == ("switchover", "plain")


def test_compare_sets_a_crash_beside_one_that_the_witnesses_are_kept_from() -> None:
    assert chosen(["crash", "hang"], compare=True) == ("crash", "crash-unseen", "hang")
    assert chosen(["crash-unseen"], compare=False) == ("crash-unseen",)
    assert len(chosen(["all"], compare=True)) == 7


@pytest.mark.parametrize("seconds", [1.0, 3.0, 140.0, 600.0])
def test_clients_outlast_the_longest_run(seconds: float) -> None:
    assert clients_limit(seconds) > 2 * seconds + 300.0
