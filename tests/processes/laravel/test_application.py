"""A real Laravel application through a crash, a hang and a switchover, beside a stock one."""

import json
from collections.abc import Callable

import pytest

from tests.processes.laravel.application import GENERATIONS, ClusterApplication, operator_settings
from tests.processes.laravel.load import Load

# Of the cluster that the fixture gives, in seconds.
DOWN_AFTER = 2.0
RUN_SECONDS = 14.0
Figure = Callable[[str], None]


def _crash(application: ClusterApplication) -> None:
    application.cluster.master.kill()


def _hang(application: ClusterApplication) -> None:
    application.cluster.master.pause()


def _switch_over(application: ClusterApplication) -> None:
    code, text = application.artisan(
        "redis:ha", "failover", "--yes", "--json", **operator_settings()
    )
    assert code == 0, text
    assert json.loads(text)["lossless"], text


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
    fault: Callable[[ClusterApplication], None],
    figure: Figure,
) -> None:
    old = application.cluster.master
    load = Load.on(application, RUN_SECONDS, master=old.address)
    load.hurt(lambda: fault(application))
    new = application.cluster.wait_for_master(other_than=old)
    load.end()
    lossless = fault is _switch_over
    outage = load.went_on(most=1.5 if lossless else DOWN_AFTER + 2)
    last = load.stock_did_not()
    with new.client(timeout=10.0) as client:
        lost, written = load.settle(client)
    assert not (lossless and lost)
    figure(f"outage {outage:.2f} s, lost {lost} of {written}; stock wrote until {last:.1f} s")
