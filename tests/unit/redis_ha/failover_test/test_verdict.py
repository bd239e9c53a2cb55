"""What passes and what fails, check by check."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from redis_ha.failover_test.clients import OURS, STOCK
from redis_ha.failover_test.expectation import LiveSettings, expect
from redis_ha.failover_test.records import Fault, LostWrite, RunRecord, StaleRead
from redis_ha.failover_test.verdict import Verdict, judge
from tests.unit.redis_ha.failover_test.runs import (
    FAULT,
    client,
    crash,
    samples,
    silenced,
    with_nodes,
)

KINDS = (OURS, STOCK)
SETTINGS = LiveSettings(down_after=2.0, min_replicas=1, max_lag=1.0)


def verdict(run: RunRecord, settings: LiveSettings = SETTINGS) -> Verdict:
    return judge(run, expect(run.fault, settings))


def failed(run: RunRecord) -> list[str]:
    return [check.name for check in verdict(run).failures]


def lost_at(at: float, kind: str = "redis-py") -> LostWrite:
    return LostWrite(kind, 0, 1, at)


def test_a_crash_within_all_limits_passes() -> None:
    assert verdict(crash()).passed


def test_with_witnesses_a_crash_may_cost_less_than_down_after() -> None:
    witnessed = replace(SETTINGS, witnessed=True)
    quick, slow = crash(back_after=0.3), crash(back_after=0.5)
    stock = client(STOCK, back_after=1.5)
    quick, slow = (replace(run, clients=(run.clients[0], stock)) for run in (quick, slow))
    assert verdict(quick, witnessed).passed
    assert [c.name for c in verdict(slow, witnessed).failures] == ["outage redis-ha"]
    unseen = replace(slow, fault="crash-unseen")
    assert verdict(unseen, witnessed).passed


def test_our_client_is_held_to_its_promise() -> None:
    assert failed(crash(back_after=2.6)) == ["outage redis-ha"]


def test_a_write_acknowledged_just_before_a_crash_may_be_lost() -> None:
    run = crash(lost=[lost_at(FAULT - 0.2)])
    assert failed(run) == []
    (check,) = [c for c in verdict(run).checks if c.name == "lost redis-py"]
    assert check.measured == 1
    assert check.limit is not None
    assert check.limit > 50


@pytest.mark.parametrize("at", [FAULT - 2.0, FAULT + 3.0])
def test_a_write_that_the_fault_does_not_explain_may_not(at: float) -> None:
    assert failed(crash(lost=[lost_at(at)])) == ["lost redis-py"]


def test_a_switchover_may_lose_nothing() -> None:
    run = crash(back_after=0.2, lost=[lost_at(FAULT - 0.01)], fault="switchover")
    assert "lost redis-py" in failed(run)


def test_a_partition_may_lose_what_was_written_until_the_fence() -> None:
    assert failed(crash(lost=[lost_at(FAULT + 2.0)], fault="partition")) == []
    assert failed(crash(lost=[lost_at(FAULT + 3.3)], fault="partition")) == ["lost redis-py"]


@pytest.mark.parametrize(("fault", "extra"), [("crash", 0.0), ("hang", 1.25), ("partition", 1.0)])
def test_two_writable_masters_fail_beyond_the_bound(fault: Fault, extra: float) -> None:
    def run(until: float) -> RunRecord:
        old = samples((97, 102 + until, "master"), (102 + until, 112, "replica"))
        return with_nodes(crash(fault=fault), redis_1=old)

    assert "two writable masters" in failed(run(extra + 0.2))
    if extra:
        assert "two writable masters" not in failed(run(extra - 0.2))


def test_without_fencing_a_partition_has_no_bound() -> None:
    open_ended = LiveSettings(down_after=2.0, min_replicas=0, max_lag=10.0)
    run = crash(lost=[lost_at(FAULT + 5.0)], fault="partition")
    assert verdict(run, open_ended).passed


def test_a_second_failover_fails() -> None:
    run = with_nodes(
        crash(),
        redis_2=samples((97, 102, "replica"), (102, 106, "master"), (106, 112, "replica")),
        redis_3=samples((97, 107, "replica"), (107, 112, "master")),
    )
    assert failed(run) == ["failovers"]


def test_nobody_promoted_fails() -> None:
    run = with_nodes(crash(), redis_2=samples((97, 112, "replica")))
    assert failed(run) == ["failovers"]


def test_a_read_older_than_the_fence_fails() -> None:
    run = crash()
    stale = replace(run.clients[0], stale=(StaleRead(101.0, 3.1),))
    assert failed(replace(run, clients=(stale, run.clients[1]))) == ["stale reads redis-ha"]


def test_clients_that_never_write_again_fail_by_their_outage() -> None:
    names = failed(silenced())
    assert {f"{check} {kind}" for check in ("outage", "enough writes") for kind in KINDS} == set(
        names
    )


def test_too_few_writes_prove_nothing() -> None:
    run = crash(back_after=11.9)
    assert "enough writes redis-ha" in failed(run)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda run: replace(run, unhealthy="sentinel-1 is away"), "healthy again"),
        (lambda run: replace(run, unequal="redis-2 holds 3 keys"), "data nodes equal"),
        (lambda run: replace(run, evicted=4), "evicted keys"),
    ],
)
def test_a_cluster_that_is_not_as_it_was_fails(
    change: Callable[[RunRecord], RunRecord], name: str
) -> None:
    assert failed(change(crash())) == [name]
