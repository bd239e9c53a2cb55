"""A real Laravel application through a crash, a hang and a switchover, beside a stock one."""

import json
from collections.abc import Callable

import pytest

from tests.processes.laravel.application import GENERATIONS, ClusterApplication, operator_settings
from tests.processes.laravel.load import Load
from tests.processes.redis_ha.witnessed import promotion_seconds

RUN_SECONDS = 14.0
PROMOTED_WITHIN = 10.0
FOLLOWED_WITHIN = 1.5
Figure = Callable[[str], None]


def _crash(application: ClusterApplication) -> float:
    """Return how long (s) there was no master."""
    old = application.cluster.master.kill()
    return promotion_seconds(application.cluster, old, within=PROMOTED_WITHIN)


def _hang(application: ClusterApplication) -> float:
    old = application.cluster.master.pause()
    return promotion_seconds(application.cluster, old, within=PROMOTED_WITHIN)


def _switch_over(application: ClusterApplication) -> float:
    code, text = application.artisan(
        "redis:ha", "failover", "--yes", "--json", **operator_settings()
    )
    assert code == 0, text
    done = json.loads(text)
    assert done["lossless"], text
    return float(done["write_gap_seconds"])


@pytest.mark.parametrize(
    ("php", "fault"),
    [
        (GENERATIONS[0], _crash),
        (GENERATIONS[0], _hang),
        (GENERATIONS[0], _switch_over),
        (GENERATIONS[1], _crash),
    ],
    indirect=["php"],
)
def test_the_application_goes_on_where_stock_laravel_does_not(
    application: ClusterApplication,
    fault: Callable[[ClusterApplication], float],
    figure: Figure,
) -> None:
    old = application.cluster.master
    load = Load.on(application, RUN_SECONDS, master=old.address)
    promoted = load.hurt(lambda: fault(application))
    new = application.cluster.wait_for_master(other_than=old)
    load.end()
    lossless = fault is _switch_over
    # When the sentinels act on a busy machine is theirs; to follow them is the application's.
    outage = load.went_on(most=promoted + FOLLOWED_WITHIN)
    last = load.stock_did_not()
    with new.client(timeout=10.0) as client:
        lost, written = load.settle(client)
    assert not (lossless and lost)
    figure(f"promoted after {promoted:.2f} s, outage {outage:.2f} s, lost {lost} of {written}")
    figure(f"stock Laravel wrote until {last:.1f} s")
