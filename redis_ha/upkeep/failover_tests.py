"""What a failover test leaves in the record: a deed for each fault, with what it came to."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from redis_ha.failover_test.summary import Judged, client_rows, fault_rows
from redis_ha.upkeep.record import Deed


def deeds_of(runs: Sequence[Judged], *, now: datetime, report: Path | None) -> tuple[Deed, ...]:
    """Sum each fault up; the report's hash says which page shows it."""
    page = "" if report is None else f", {report.name} sha256 {_digest(report)}"
    rows = client_rows(runs)
    deeds: list[Deed] = []
    for fault in fault_rows(runs):
        own = [row for row in rows if row.fault == fault.fault]
        text = (
            f"{fault.passed} of {fault.runs} passed, outage at worst "
            f"{max(row.outage_worst for row in own):.2f} s, "
            f"{sum(row.lost for row in own)} of {sum(row.acknowledged for row in own)} lost{page}"
        )
        task = f"failover-test {fault.fault}"
        deeds.append(Deed(task, now, fault.passed == fault.runs, text))
    return tuple(deeds)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
