"""Many crashes of one kind under clients that keep a ledger, and what they cost in figures.

The failover test's own engine does them; here is only what it is asked for and how it is judged.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from redis_ha.failover_test.campaign import Campaign, carry_out
from redis_ha.failover_test.clients import OURS, STOCK
from redis_ha.failover_test.hands import Hands
from redis_ha.failover_test.measures import outages, promotions
from redis_ha.failover_test.records import BEGUN
from redis_ha.failover_test.run import Options
from redis_ha.failover_test.summary import Judged
from redis_ha.prediction import WITNESSED
from redis_ha.site import Site

# From so many on the 95th percentile says something, and is held to what is promised.
ENOUGH = 20
# Of few crashes the middle one may be so much later than promised, on a machine that is busy.
SLACK_SECONDS = 2.0
OPTIONS = Options(kinds=(OURS, STOCK), writers=2, pace=0.004, seconds=1.0)
LIMITS = dict(zip((OURS, STOCK), WITNESSED, strict=True))


@dataclass(frozen=True)
class Crashes:
    """All runs of one kind of crash; gaps in seconds, by kind of client."""

    runs: tuple[Judged, ...]

    def gaps(self, kind: str) -> list[float]:
        return [outages(r.run, since=r.run.marks[BEGUN])[kind].seconds for r in self.runs]

    @property
    def lost(self) -> int:
        return sum(len(one.run.lost) for one in self.runs)

    @property
    def acknowledged(self) -> int:
        return sum(client.acknowledged for one in self.runs for client in one.run.clients)

    @property
    def failovers(self) -> list[int]:
        return [len(promotions(one.run)) for one in self.runs]

    @property
    def requests(self) -> list[int]:
        """How many failovers witnesses asked for, run by run."""
        return [
            sum(deed.asked for deed in one.run.deeds.each) if one.run.deeds else 0
            for one in self.runs
        ]

    @property
    def troubles(self) -> list[str]:
        """Everything that failed but the times, which are judged all together."""
        return [
            f"run {number}, {check.name}: {check.reason}"
            for number, one in enumerate(self.runs, start=1)
            for check in one.verdict.failures
            if not check.name.startswith("outage")
        ]

    @property
    def figures(self) -> list[str]:
        gaps = [(kind, self.gaps(kind)) for kind in (OURS, STOCK)]
        lines = [
            f"{kind}: gap p50 {percentile(values, 0.5):.2f} s, p95 {percentile(values, 0.95):.2f} "
            f"s, worst {max(values):.2f} s in {len(values)} crashes"
            for kind, values in gaps
        ]
        lines.append(f"{self.lost} of {self.acknowledged} acknowledged writes lost")
        lines.append(f"failovers a crash {self.failovers}, asked for {self.requests}")
        return lines


def crash_again_and_again(
    site: Site, hands: Hands, count: int, *, directory: Path, figure: Callable[[str], None]
) -> Crashes:
    """Crash the master `count` times, each time healed; note the figures."""
    campaign = Campaign(site, ("crash",), count, OPTIONS)
    runs = carry_out(campaign, hands, directory / "journal.json", say=print)
    crashes = Crashes(tuple(runs))
    for line in crashes.figures:
        figure(line)
    return crashes


def check(crashes: Crashes, *, down_after: float, warned: bool = False) -> None:
    """Fail unless each was one failover that a witness asked for, and none cost too much.

    A node that was `warned` by a signal may have got as far as asking by itself.
    """
    assert crashes.troubles == []
    assert set(crashes.requests) <= ({0, 1} if warned else {1}), crashes.requests
    for kind, limit in LIMITS.items():
        values = crashes.gaps(kind)
        # Sentinel alone would not even have begun.
        assert max(values) < down_after, crashes.figures
        assert median(values) <= limit + SLACK_SECONDS, crashes.figures
        if len(values) >= ENOUGH:
            assert percentile(values, 0.95) <= limit, crashes.figures


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0..1) of the sorted values don't exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]
