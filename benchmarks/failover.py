"""What a failover costs each kind of client, side by side in one run on the same machine.

Peers: plain `SENTINEL FAILOVER` beside the zero-loss switchover; Sentinel alone beside the witness;
redis-py's Sentinel class beside our client, with its own retries off and as it comes, both with
the timeouts of `redis_ha.failover_test.clients`. Load and counting are those of `redis-ha
failover-test`.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis_ha.failover_test.clients import KINDS
from redis_ha.failover_test.measures import outages, promotions
from redis_ha.failover_test.records import BEGUN
from redis_ha.failover_test.summary import Judged
from tests.processes.cluster import Cluster, Settings
from tests.processes.redis_ha.many_faults import Amount, acknowledged, lost, run_often

# Seconds; with our client. redis-py asks the sentinels only.
GOALS = {"switchover": 0.2, "crash_with_witness": 0.4, "crash_without_witness": 2.5}
DOWN_AFTER = 2000
# What the planner allows and recommends with it.
_FENCE = ("min-replicas-to-write 1", "min-replicas-max-lag 1")
_SECONDS, _PACE, _WRITERS = 1.0, 0.004, 2


def measure(*, pairs: int = 5) -> dict[str, Any]:
    """Run each fault four times as often as `pairs` says; outages in seconds."""
    amount = Amount(4 * pairs, 0, _WRITERS, _PACE, _SECONDS, DOWN_AFTER, strict=False)
    with cluster(witness=True) as watched:
        switched = run_often(watched, "switchover", amount, kinds=KINDS)
        witnessed = run_often(watched, "crash", amount, kinds=KINDS)
    with cluster(witness=False) as bare:
        plain = run_often(bare, "plain", amount, kinds=KINDS)
        alone = run_often(bare, "crash", amount, kinds=KINDS)
    return {
        "benchmark": "failover",
        "goal_seconds": GOALS,
        "down_after_ms": DOWN_AFTER,
        "switchover": told(switched),
        "plain_sentinel_failover": told(plain),
        "crash_with_witness": told(witnessed),
        "crash_without_witness": told(alone),
    }


@contextmanager
def cluster(*, witness: bool) -> Iterator[Cluster]:
    """Give a cluster as the stack makes it, of processes."""
    settings = Settings(guarded=True, witness=witness, down_after=DOWN_AFTER, redis_lines=_FENCE)
    with tempfile.TemporaryDirectory() as name, Cluster.start(Path(name), settings) as running:
        yield running


def told(runs: Sequence[Judged]) -> dict[str, Any]:
    """Say what each kind of client saw: the gap of each run, over all runs."""
    gaps: dict[str, list[float]] = {}
    for one in runs:
        for kind, gap in gaps_of(one).items():
            gaps.setdefault(kind, []).append(gap)
    return {
        "runs": len(runs),
        "failovers": sum(len(promotions(one.run)) for one in runs),
        "acknowledged": acknowledged(runs),
        "lost": lost(runs),
        "outage_seconds": {kind: spread(each) for kind, each in gaps.items()},
    }


def gaps_of(one: Judged) -> dict[str, float]:
    """Give how long no client of a kind could write (s)."""
    found = outages(one.run, since=one.run.marks[BEGUN])
    return {kind: span.seconds for kind, span in found.items()}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Give median, 95th percentile and worst."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        "p50": round(statistics.median(ordered), 3),
        "p95": round(ordered[min(last, round(0.95 * last))], 3),
        "worst": round(ordered[-1], 3),
    }
