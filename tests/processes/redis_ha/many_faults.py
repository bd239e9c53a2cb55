"""The same fault again and again on real servers, with clients of every kind at work beside it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis_ha.failover_test import steadiness
from redis_ha.failover_test.journal import opened
from redis_ha.failover_test.measures import promotions
from redis_ha.failover_test.records import Fault
from redis_ha.failover_test.run import Options, Run
from redis_ha.failover_test.summary import Judged, client_rows, judged
from tests.processes.cluster import Cluster
from tests.processes.redis_ha.process_hands import ProcessHands, site_of

Figure = Callable[[str], None]


@dataclass(frozen=True)
class Amount:
    """How much is done: little by default, as much as a figure needs by request.

    `runs` of each fault, with `writers` of each kind of client that write each `pace` seconds, for
    `seconds` before and again after it; at least `acknowledged` writes in all. `strict` holds the
    times to their limits as well, for a machine with nothing else to do.
    """

    runs: int
    acknowledged: int
    writers: int
    pace: float
    seconds: float
    down_after: int
    strict: bool

    @classmethod
    def wanted(cls) -> "Amount":
        """Read REDIS_HA_RUNS, _ACKNOWLEDGED, _WRITERS, _PACE, _SECONDS, _DOWN_AFTER and _STRICT.

        The last but one is in milliseconds; _STRICT=1 says yes.
        """
        return cls(
            runs=int(os.environ.get("REDIS_HA_RUNS", "2")),
            acknowledged=int(os.environ.get("REDIS_HA_ACKNOWLEDGED", "500")),
            writers=int(os.environ.get("REDIS_HA_WRITERS", "2")),
            pace=float(os.environ.get("REDIS_HA_PACE", "0.001")),
            seconds=float(os.environ.get("REDIS_HA_SECONDS", "1")),
            down_after=int(os.environ.get("REDIS_HA_DOWN_AFTER", "2000")),
            strict=os.environ.get("REDIS_HA_STRICT", "") == "1",
        )


def run_often(
    cluster: Cluster, fault: Fault, amount: Amount, *, kinds: tuple[str, ...]
) -> list[Judged]:
    """Do it, each time on a healthy cluster."""
    site, found = site_of(cluster), []
    settings = steadiness.live_settings(site)
    options = Options(kinds, amount.writers, amount.pace, amount.seconds)
    for _ in range(amount.runs):
        cluster.wait_until_healthy(60.0)
        with opened(cluster.directory / "journal.json") as journal:
            hands = ProcessHands(cluster)
            one = Run(site, fault, hands, journal, options, settings, say=_nobody).record()
        found.append(judged(one, settings))
    return found


def _nobody(_text: str) -> None:
    """Say nothing."""


def troubles(runs: Sequence[Judged], *, strict: bool) -> list[str]:
    """Return everything that went beyond its limit; the outages only when `strict`."""
    failures = [check for one in runs for check in one.verdict.failures]
    return [
        f"{check.name}: {check.measured} {check.unit}, {check.reason}"
        for check in failures
        if strict or not check.name.startswith("outage")
    ]


def tell(runs: Sequence[Judged], figure: Figure) -> None:
    """Note what each kind of client suffered, and the failovers."""
    for row in client_rows(runs):
        limit = "" if row.outage_limit is None else f" (limit {row.outage_limit:.1f} s)"
        figure(
            f"{row.fault}, {row.runs} runs, {row.kind}: outage median {row.outage_middle:.2f} s,"
            f" worst {row.outage_worst:.2f} s{limit};"
            f" {row.lost} lost of {row.acknowledged} acknowledged"
        )
    counts = [len(promotions(one.run)) for one in runs]
    figure(f"{runs[0].run.fault}: failovers {min(counts)} to {max(counts)} in each run")


def acknowledged(runs: Sequence[Judged]) -> int:
    """Count the writes that were acknowledged to any client."""
    return sum(client.acknowledged for one in runs for client in one.run.clients)


def lost(runs: Sequence[Judged]) -> int:
    """Count the acknowledged writes that are gone."""
    return sum(len(one.run.lost) for one in runs)
