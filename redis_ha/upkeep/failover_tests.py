"""What a failover test leaves in the record: a deed for each fault, with what it came to."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from redis_ha.failover_test.outcome import Outcome
from redis_ha.failover_test.summary import Judged, client_rows, fault_rows
from redis_ha.upkeep.record import Deed


def deeds_of(
    outcome: Outcome, *, now: datetime, report: Path | None, cluster: tuple[str, ...] = ()
) -> tuple[Deed, ...]:
    """Sum each fault up; the report's hash says which page shows it.

    `cluster` is which one was hurt, as `redis_ha.upkeep.identity` has it. A fault that broke off
    failed, however its other runs ended.
    """
    page = "" if report is None else f", {report.name} sha256 {_digest(report)}"
    found = {fault: (passed, text) for fault, passed, text in _summed_up(outcome.runs)}
    if outcome.broken is not None:
        _, text = found.get(outcome.broken, (False, ""))
        broke = f"a run broke off after the fault had begun: {outcome.stopped}"
        found[outcome.broken] = (False, "; ".join(filter(None, (text, broke))))
    return tuple(
        Deed(f"failover-test {fault}", now, passed, text + page, cluster)
        for fault, (passed, text) in found.items()
    )


def _summed_up(runs: Sequence[Judged]) -> Iterator[tuple[str, bool, str]]:
    rows = client_rows(runs)
    for fault in fault_rows(runs):
        own = [row for row in rows if row.fault == fault.fault]
        text = (
            f"{fault.passed} of {fault.runs} passed, outage at worst "
            f"{max(row.outage_worst for row in own):.2f} s, "
            f"{sum(row.lost for row in own)} of {sum(row.acknowledged for row in own)} lost"
        )
        yield fault.fault, fault.passed == fault.runs, text


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
