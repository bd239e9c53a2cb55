"""What a fault costs over many runs. A few by default; REDIS_HA_RUNS=20 and the like for figures.

See `Amount.wanted` for what can be asked for.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import pytest
import redis

from redis_ha.failover_test.clients import KINDS, OURS, STOCK
from redis_ha.failover_test.summary import overlap_seconds
from redis_ha.prediction import FENCING_EXTRA
from tests.processes.cluster import Cluster, Process, Settings
from tests.processes.redis_ha.many_faults import (
    Amount,
    Figure,
    acknowledged,
    lost,
    run_often,
    tell,
    troubles,
)

AMOUNT = Amount.wanted()
pytestmark = pytest.mark.timeout(3600)
# What the server's own look at its replicas may be late by, on a busy machine (s).
SLACK = 0.3


def fence(down_after: int) -> int:
    """Return a max-lag (s) that the planner allows with this down-after (ms)."""
    return max(1, down_after // 1000 - 2)


@pytest.fixture
def fenced(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster as the stack makes it, without witnesses."""
    lag = fence(AMOUNT.down_after)
    lines = ("min-replicas-to-write 1", f"min-replicas-max-lag {lag}")
    settings = Settings(guarded=True, down_after=AMOUNT.down_after, redis_lines=lines)
    with Cluster.start(tmp_path, settings) as running:
        yield running


def test_switchovers_lose_nothing(cluster: Cluster, figure: Figure) -> None:
    runs = run_often(cluster, "switchover", AMOUNT, kinds=(OURS, STOCK))
    tell(runs, figure)
    figure(f"switchover: {lost(runs)} lost of {acknowledged(runs)} acknowledged")
    assert troubles(runs, strict=AMOUNT.strict) == []
    assert lost(runs) == 0
    assert acknowledged(runs) >= AMOUNT.acknowledged


def test_plain_failovers_beside_them_do(cluster: Cluster, figure: Figure) -> None:
    few = replace(AMOUNT, runs=max(1, AMOUNT.runs // 4))
    runs = run_often(cluster, "plain", few, kinds=(OURS, STOCK))
    tell(runs, figure)
    figure(f"plain: two masters for up to {max(overlap_seconds(one.run) for one in runs):.1f} s")
    assert lost(runs) > 0


def test_crashes_stay_within_what_is_predicted(fenced: Cluster, figure: Figure) -> None:
    runs = run_often(fenced, "crash", AMOUNT, kinds=KINDS)
    tell(runs, figure)
    assert troubles(runs, strict=AMOUNT.strict) == []


def test_a_master_that_misses_its_replicas_stops_within_the_bound(
    fenced: Cluster, figure: Figure
) -> None:
    """Silent replicas are all that a cut-off master sees, and the client on its side stays."""
    lag, accepted, refused = fence(AMOUNT.down_after), [], []
    for number in range(AMOUNT.runs):
        master, replicas = fenced.master, fenced.replicas
        # It counts its replicas once a second, also those that are back.
        with master.client("app") as client:
            fenced.wait_for(partial(is_accepted, client), 5.0)
        # At another moment of the server's second each time.
        time.sleep(number * 0.37 % 1.0)
        for replica in replicas:
            replica.pause()
        try:
            last, first = seconds_until_refused(master, limit=lag + FENCING_EXTRA + 5.0)
            accepted.append(last)
            refused.append(first)
        finally:
            for replica in replicas:
                replica.resume()
        fenced.wait_until_healthy(60.0)
    figure(
        f"max-lag {lag} s, {len(accepted)} runs: last accepted write after {min(accepted):.2f} s"
        f" at least, {median(accepted):.2f} s median, {max(accepted):.2f} s at most"
    )
    assert max(accepted) <= lag + FENCING_EXTRA + SLACK
    assert min(refused) >= lag - 1.0 - SLACK


def seconds_until_refused(master: Process, *, limit: float) -> tuple[float, float]:
    """Write until the master refuses; return after how long (s) it had accepted and refused.

    The write that it accepted last was sent then at the earliest, and the one that it refused was
    answered then at the latest: a machine that is slow in between is none of the master's.
    """
    began = last = sent = time.monotonic()
    with master.client("app") as client:
        while is_accepted(client):
            last = sent
            assert last - began < limit, "it never stops"
            time.sleep(0.01)
            sent = time.monotonic()
    return last - began, time.monotonic() - began


def is_accepted(client: redis.Redis) -> bool:
    try:
        return bool(client.set("inside", 1))
    except redis.ResponseError as error:
        if "NOREPLICAS" not in str(error):
            raise
        return False
