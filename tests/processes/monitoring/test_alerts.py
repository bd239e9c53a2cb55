"""The shipped rules over real processes: quiet while all is well, and told of each trouble in time.

REDIS_HA_TEST_STEADY_SECONDS says how long all is well: a minute by default, hours for who wants to
know. Longer than that, troubles are tried too that tests/docker/test_alerts.py has in the stack.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.processes.ledger import Ledger
from tests.processes.monitoring.scenarios import IN_THE_STACK_TOO, ROUNDS, under_way
from tests.processes.monitoring.stage import Stage, set_up
from tests.processes.monitoring.watched import RULES
from tests.processes.redis_ha.operator_command import OperatorCommand
from tests.watch import metrics_read

USUAL_SECONDS = 60.0
SECONDS = float(os.environ.get("REDIS_HA_TEST_STEADY_SECONDS", USUAL_SECONDS))
# An alert is to be there, and gone again, two minutes after its cause.
ALERT_SECONDS = 120.0
# The exporter looks at certificates each minute, a refusal counts for two, failovers for ten: seen
# to go in the end.
SEEN_LATE = {
    *("RedisCertificateEnds", "RedisCertificateEndsSoon", "RedisConnectionsRejected"),
    "RedisFailoversOften",
}
TRIED = [name for name in ROUNDS if SECONDS > USUAL_SECONDS or name not in IN_THE_STACK_TOO]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with set_up(tmp_path_factory.mktemp("alerts")) as made:
        yield made


@pytest.mark.timeout(420 + SECONDS)
def test_under_load_and_through_a_switchover_nobody_is_called(
    stage: Stage, figure: Callable[[str], None]
) -> None:
    with Ledger.running(stage.cluster, pace=0.002) as ledger:
        began = time.monotonic()
        ledger.wait_for_writes(100)
        time.sleep(SECONDS / 4)
        switch_over(stage)
        stage.watched.until(lambda: "RedisFailover" in stage.watched.watch.told(), 60, "the news")
        time.sleep(max(0.0, began + SECONDS - time.monotonic()))
        seconds = int(time.monotonic() - began)
    assert recorded(stage, 'alertstate="firing", severity!="info"', seconds) == set()
    assert recorded(stage, 'alertstate="firing"', seconds) == {"Watchdog", "RedisFailover"}
    almost = sorted(recorded(stage, 'alertstate="pending"', seconds))
    figure(
        f"{seconds} s, {ledger.acknowledged} writes: nobody called; almost: {almost or 'nothing'}"
    )


@pytest.mark.timeout(480)
@pytest.mark.parametrize("name", TRIED)
def test_each_troubles_alerts_come_within_two_minutes_and_go_with_it(
    stage: Stage, name: str, figure: Callable[[str], None]
) -> None:
    watched, awaited = stage.watched, set[str]()
    with ExitStack() as troubles:
        for trouble in ROUNDS[name]:
            awaited |= troubles.enter_context(under_way(trouble, stage))
        came = watched.until(
            lambda: awaited <= watched.watch.told(), ALERT_SECONDS, f"{sorted(awaited)}"
        )
    ended = watched.until(
        lambda: watched.watch.grave() <= SEEN_LATE, ALERT_SECONDS, "no alert any more"
    )
    stage.cluster.wait_until_healthy()
    figure(f"{name}: {len(awaited)} alerts within {came:.0f} s, gone {ended:.0f} s after")


def test_in_the_end_all_is_well(stage: Stage) -> None:
    stage.watched.until(stage.calm, ALERT_SECONDS, "no alert at all")


def test_every_metric_that_a_rule_reads_is_there(stage: Stage) -> None:
    """But a witness's: this cluster has none."""
    known = set(stage.watched.watch.ask("label/__name__/values"))
    assert metrics_read(RULES) - known == {"redis_ha_witness_up"}


def switch_over(stage: Stage) -> None:
    directory = stage.directory / "operator"
    directory.mkdir()
    done = OperatorCommand(directory, stage.cluster).run("failover", "--yes", timeout=90)
    assert done.returncode == 0, done.stderr


def recorded(stage: Stage, matching: str, seconds: int) -> set[str]:
    """Name the alerts of a kind within the last seconds, by Prometheus's own record."""
    query = f"last_over_time(ALERTS{{{matching}}}[{seconds}s])"
    found = stage.watched.watch.ask("query", query=query)["result"]
    return {each["metric"]["alertname"] for each in found}
